/*
 * common/mem.h - allocation that succeeds or ends the process, and wiping.
 *
 * Running out of memory ends the process with a log line. The protection
 * against outsiders is that nothing they send causes an allocation without a
 * named limit, so every caller bounds its sizes before it comes here.
 */
#ifndef SALLYPORT_COMMON_MEM_H
#define SALLYPORT_COMMON_MEM_H

#include <stddef.h>

void	*xmalloc(size_t);
void	*xcalloc(size_t n, size_t size);
void	*xrealloc(void *, size_t);
void	*xreallocarray(void *, size_t n, size_t size);
char	*xstrdup(const char *);
/* n bytes and a NUL; the bytes may hold NULs. */
char	*xmemdup(const void *, size_t n);

/* Overwrite a secret so that the compiler may not leave it out. */
void	 mem_wipe(void *, size_t);
/* mem_wipe, then free; p may be NULL. */
void	 mem_wipe_free(void *p, size_t);
/* Equal? In time that depends on n alone. */
int	 mem_equal_secret(const void *, const void *, size_t n);
/* n unpredictable bytes from the kernel; ends the process if there are none. */
void	 mem_random(void *, size_t n);

#endif
