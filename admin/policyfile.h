/*
 * admin/policyfile.h - policy.conf into policy rules.
 *
 * libconfig reads the file (common/conf.h), the policy room judges what it
 * says (policy/rules.h). All errors of both come out together, each with the
 * file and line where it stands.
 */
#ifndef SALLYPORT_ADMIN_POLICYFILE_H
#define SALLYPORT_ADMIN_POLICYFILE_H

#include <stdbool.h>
#include <stdio.h>

#include "admin/policychange.h"
#include "common/span.h"

struct conf_errors;
struct policy_rules;

/*
 * The rules, owned by the caller (policy_rules_unref()), or NULL with every
 * error added to errs. file is borrowed only during the call.
 */
struct policy_rules *policyfile_load(const char *file, struct conf_errors *errs);
/*
 * The same, and what the rules are made of, with its places, into rows: for a process of ours that reads
 * no files. There, policyfile_unpack() makes the same rules of them, and moves *rest on; NULL
 * when they are none (which is a break-in). sha256 gets the hash of the text that was read (policychange.h), with
 * what it includes in its place; "" if it cannot be read.
 */
struct policy_rules *policyfile_pack(const char *file, struct conf_errors *errs, FILE *rows, char sha256[POLICY_HASH_TEXT]);
/* The same of a text, which errs and decisions call name; it includes nothing. */
struct policy_rules *policyfile_pack_text(const char *name, struct span text, struct conf_errors *errs, FILE *rows,
	    char sha256[POLICY_HASH_TEXT]);
struct policy_rules *policyfile_unpack(struct span *rest);

/*
 * The same of a text, which errs and decisions call name. dir: where the files are
 * that it includes; NULL: the working directory.
 */
struct policy_rules *policyfile_load_text(const char *name, struct span text, const char *dir, struct conf_errors *errs);

/*
 * What a text says, one call for each value: list "partners" and group "Fabrikam" (both NULL
 * for what stands at the top), option as the file calls it ("blocked", "port"), value. What is
 * left out comes with its default. Of two groups of one name, the later is called "Fabrikam (2)".
 * Borrowed during the call. SP_OK, or SP_EINVAL with errs filled and nothing called: what it says
 * cannot be read. Whether it makes sense is not asked.
 */
int	policyfile_walk(const char *name, struct span text, const char *dir, void (*each)(void *arg, const char *list,
	    const char *group, const char *option, bool element, const char *value), void *arg, struct conf_errors *errs);

/* Every option of policy.conf, as conf_print_options() prints it. */
void	policyfile_print_options(FILE *);

#endif
