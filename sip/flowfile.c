/*
 * sip/flowfile.c - see flowfile.h.
 */
#include "sip/flowfile.h"

#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "common/err.h"
#include "common/mem.h"

static void
give_up(const char *file)
{
	int error = errno;

	(void)unlink(file);
	errno = error;
}

static int
make(const char *file)
{
	unsigned char key[SIP_FLOW_KEY_SIZE];
	char text[2 * SIP_FLOW_KEY_SIZE + 2];
	struct strbuf sb;
	int fd, err = SP_OK;

	mem_random(key, sizeof(key));
	strbuf_init(&sb, text, sizeof(text));
	strbuf_hex(&sb, key, sizeof(key), false);
	strbuf_putc(&sb, '\n');
	/* another process that comes first made it; then its key counts */
	if ((fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600)) == -1)
		err = errno == EEXIST ? SP_OK : SP_EIO;
	else {
		ssize_t n = write(fd, sb.p, sb.len);

		if (n >= 0 && n != (ssize_t)sb.len)
			errno = ENOSPC;
		if (n != (ssize_t)sb.len || fsync(fd) == -1)
			err = SP_EIO;
		/* half a key would be in the way of every start, also when there is room again */
		if (err != SP_OK)
			give_up(file);
		close(fd);
	}
	mem_wipe(key, sizeof(key));
	mem_wipe(text, sizeof(text));
	return err;
}

static bool
parse_key(const char *line, unsigned char key[SIP_FLOW_KEY_SIZE])
{
	for (size_t i = 0; i < SIP_FLOW_KEY_SIZE; i++) {
		unsigned byte;

		if (strspn(line + 2 * i, "0123456789abcdefABCDEF") < 2 || sscanf(line + 2 * i, "%2x", &byte) != 1)
			return false;
		key[i] = (unsigned char)byte;
	}
	line += 2 * (size_t)SIP_FLOW_KEY_SIZE;
	return *line == '\n' || *line == '\0';
}

static int
read_keys(FILE *f, struct sip_flow_keys **out, int *line)
{
	unsigned char keys[SIP_FLOW_KEYS_MAX][SIP_FLOW_KEY_SIZE];
	char text[256];
	unsigned n = 0;
	int err = SP_OK;

	for (*line = 1; err == SP_OK && fgets(text, sizeof(text), f) != NULL; ++*line) {
		if (text[0] == '#' || text[0] == '\n')
			continue;
		if (n == SIP_FLOW_KEYS_MAX) {	/* the oldest goes */
			memmove(keys[0], keys[1], sizeof(keys) - sizeof(keys[0]));
			n--;
		}
		if (!parse_key(text, keys[n++]))
			err = SP_EINVAL;
	}
	--*line;
	if (err == SP_OK && n == 0)
		err = SP_EINVAL;
	if (err == SP_OK)
		*out = sip_flow_keys_from(keys[0], n);
	mem_wipe(keys, sizeof(keys));
	mem_wipe(text, sizeof(text));
	return err;
}

int
sip_flow_keys_load(const char *file, struct sip_flow_keys **out, int *line)
{
	int err = sip_flow_keys_read(file, out, line);

	if (err == SP_EIO && errno == ENOENT && (err = make(file)) == SP_OK)
		err = sip_flow_keys_read(file, out, line);
	return err;
}

bool
sip_flow_keys_turn(struct sip_flow_keys **ring, struct sip_flow_keys **last, struct sip_flow_keys *now)
{
	const struct sip_flow_keys *before = *last != NULL ? *last : *ring;
	struct sip_flow_keys *after;

	if (sip_flow_keys_same(before, now))
		return false;
	after = sip_flow_keys_after(before, now);
	sip_flow_keys_unref(*ring);
	sip_flow_keys_unref(*last);
	*ring = after;
	*last = sip_flow_keys_ref(now);
	return true;
}

int
sip_flow_keys_read(const char *file, struct sip_flow_keys **out, int *line)
{
	struct stat st;
	FILE *f;
	int err;

	*out = NULL;
	*line = 0;
	if ((f = fopen(file, "re")) == NULL)
		return SP_EIO;
	if (fstat(fileno(f), &st) == -1)
		err = SP_EIO;
	else if ((st.st_mode & 077) != 0)
		err = SP_EINVAL;
	else
		err = read_keys(f, out, line);
	fclose(f);
	return err;
}

int
sip_flow_keys_check(const char *file, int *line)
{
	struct sip_flow_keys *keys = NULL;
	int err;

	*line = 0;
	if (access(file, F_OK) == -1 && errno == ENOENT)
		return SP_OK;
	err = sip_flow_keys_load(file, &keys, line);
	sip_flow_keys_unref(keys);
	return err;
}

const char *
sip_flow_keys_fault(int err, int line)
{
	return err == SP_EIO ? strerror(errno) : line == 0 ? "others may read it; expects mode 0600" : "expects 64 hex digits";
}
