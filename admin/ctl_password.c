/*
 * admin/ctl_password.c - see ctl_password.h.
 */
#include "admin/ctl_password.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <termios.h>
#include <unistd.h>

#include "admin/ctl.h"
#include "common/mem.h"

/* One line from fd, at most the longest password. Bytes, or -1. */
static ssize_t
read_line(int fd, char out[CTL_PASSWORD_ROOM])
{
	size_t n = 0;

	/* byte by byte: what follows the line is not ours */
	while (n < CTL_PASSWORD_MAX + 1) {
		ssize_t got = read(fd, out + n, 1);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0 || out[n] == '\n')
			break;
		n++;
	}
	if (n > 0 && out[n - 1] == '\r')
		n--;
	out[n] = '\0';
	return (ssize_t)n;
}

static ssize_t
ask(const char *prompt, char out[CTL_PASSWORD_ROOM])
{
	struct termios was, quiet;
	int fd = open("/dev/tty", O_RDWR | O_CLOEXEC | O_NOCTTY);
	ssize_t n = -1;

	if (fd < 0)
		return -1;
	if (tcgetattr(fd, &was) == 0) {
		quiet = was;
		quiet.c_lflag &= (tcflag_t)~ECHO;
		/* quiet first: whoever sees the prompt may begin to type */
		if (tcsetattr(fd, TCSAFLUSH, &quiet) == 0) {
			if (write(fd, prompt, strlen(prompt)) > 0)
				n = read_line(fd, out);
			tcsetattr(fd, TCSAFLUSH, &was);
			if (write(fd, "\n", 1) != 1)
				n = -1;
		}
	}
	close(fd);
	return n;
}

int
ctl_password(const char *file, char out[CTL_PASSWORD_ROOM], size_t *n)
{
	char again[CTL_PASSWORD_ROOM];
	ssize_t got, second;
	int fd = STDIN_FILENO;

	if (file == NULL && isatty(STDIN_FILENO)) {
		if ((got = ask("Password: ", out)) < 0 || (second = ask("Again: ", again)) < 0)
			return ctl_misused("the terminal cannot be read", NULL);
		if (got != second || memcmp(out, again, (size_t)got) != 0) {
			mem_wipe(again, sizeof(again));
			fputs("sallyportctl: the two are different\n", stderr);
			return EX_DATAERR;
		}
		mem_wipe(again, sizeof(again));
	} else {
		if (file != NULL && strcmp(file, "-") != 0 &&
		    (fd = open(file, O_RDONLY | O_CLOEXEC | O_NOCTTY)) < 0) {
			fprintf(stderr, "sallyportctl: %s: %s\n", file, strerror(errno));
			return errno == EACCES ? EX_NOPERM : EX_NOINPUT;
		}
		got = read_line(fd, out);
		if (fd != STDIN_FILENO)
			close(fd);
		if (got < 0) {
			fprintf(stderr, "sallyportctl: the password cannot be read: %s\n", strerror(errno));
			return EX_IOERR;
		}
	}
	*n = (size_t)got;
	return EX_OK;
}
