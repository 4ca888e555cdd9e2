#include "common/slots.h"

#include "tests/unit/unit.h"

static int things[100];

START_TEST(finds_what_was_added)
{
	struct slots *t = slots_new(100);
	uint64_t id[100];

	for (size_t i = 0; i < 100; i++) {
		id[i] = slots_add(t, &things[i]);
		ck_assert_uint_ne(id[i], 0);
	}
	ck_assert_uint_eq(slots_count(t), 100);
	for (size_t i = 0; i < 100; i++) {
		ck_assert_ptr_eq(slots_get(t, id[i]), &things[i]);
		ck_assert_uint_lt(SLOT_OF(id[i]), 100);
		ck_assert_uint_eq(SLOT_GENERATION_OF(id[i]), 1);
	}
	slots_free(t);
}
END_TEST

START_TEST(full_at_its_limit_and_not_before)
{
	struct slots *t = slots_new(17);
	uint64_t last = 0;

	for (int i = 0; i < 17; i++) {
		last = slots_add(t, &things[i]);
		ck_assert_uint_ne(last, 0);
	}
	ck_assert_uint_eq(slots_add(t, &things[17]), 0);
	ck_assert_uint_eq(slots_count(t), 17);
	slots_remove(t, last);
	ck_assert_uint_ne(slots_add(t, &things[17]), 0);
	ck_assert_uint_eq(slots_add(t, &things[18]), 0);
	slots_free(t);

	t = slots_new(0);
	ck_assert_uint_eq(slots_add(t, &things[0]), 0);
	slots_free(t);
	slots_free(NULL);
}
END_TEST

START_TEST(an_old_id_finds_nothing)
{
	struct slots *t = slots_new(4);
	uint64_t seen[1000];

	for (size_t i = 0; i < 1000; i++) {
		seen[i] = slots_add(t, &things[0]);
		ck_assert_ptr_eq(slots_get(t, seen[i]), &things[0]);
		for (size_t k = 0; k < i; k++)
			ck_assert_ptr_null(slots_get(t, seen[k]));
		slots_remove(t, seen[i]);
		slots_remove(t, seen[i]);	/* the second time is nothing */
		ck_assert_ptr_null(slots_get(t, seen[i]));
		ck_assert_uint_eq(slots_count(t), 0);
	}
	slots_free(t);
}
END_TEST

START_TEST(an_invented_id_finds_nothing)
{
	struct slots *t = slots_new(4);
	uint64_t id = slots_add(t, &things[0]);

	ck_assert_ptr_null(slots_get(t, 0));
	ck_assert_ptr_null(slots_get(t, UINT64_MAX));
	ck_assert_ptr_null(slots_get(t, id + 1));
	ck_assert_ptr_null(slots_get(t, id + (1u << 24)));
	ck_assert_ptr_null(slots_get(t, id | UINT64_C(1) << 60));
	slots_remove(t, id | UINT64_C(1) << 60);
	slots_remove(t, 0);
	ck_assert_ptr_eq(slots_get(t, id), &things[0]);
	slots_free(t);
}
END_TEST

struct walk {
	struct slots	*t;
	uint64_t	 id[100];
	size_t		 calls;
};

static void
remove_it(void *item, void *arg)
{
	struct walk *w = arg;

	slots_remove(w->t, w->id[(int *)item - things]);
	w->calls++;
}

START_TEST(each_may_remove_its_item)
{
	struct walk w = { .t = slots_new(100) };

	for (size_t i = 0; i < 100; i++)
		w.id[i] = slots_add(w.t, &things[i]);
	slots_remove(w.t, w.id[3]);
	slots_each(w.t, remove_it, &w);
	ck_assert_uint_eq(w.calls, 99);
	ck_assert_uint_eq(slots_count(w.t), 0);
	slots_each(w.t, remove_it, &w);
	ck_assert_uint_eq(w.calls, 99);
	slots_free(w.t);
}
END_TEST

START_TEST(another_beginning)
{
	struct slots *was = slots_new(4), *now = slots_new(4);
	uint64_t old;
	int item;

	slots_begin_at(was, 7);
	slots_begin_at(now, 0x1000000);
	old = slots_add(was, &item);
	ck_assert_uint_eq(SLOT_GENERATION_OF(old), 7);
	ck_assert_uint_eq(SLOT_OF(slots_add(now, &item)), SLOT_OF(old));
	ck_assert_ptr_null(slots_get(now, old));
	ck_assert_ptr_eq(slots_get(was, old), &item);
	slots_free(was);
	slots_free(now);
}
END_TEST

int
main(void)
{
	const TTest *tests[] = { finds_what_was_added, full_at_its_limit_and_not_before, an_old_id_finds_nothing,
		an_invented_id_finds_nothing, each_may_remove_its_item, another_beginning };

	return unit_run("slots", tests, sizeof(tests) / sizeof(tests[0]));
}
