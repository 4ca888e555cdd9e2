/*
 * tests/planted/planted.h - what the holes made on purpose have in common.
 */
#ifndef SALLYPORT_TESTS_PLANTED_H
#define SALLYPORT_TESTS_PLANTED_H

/* Try it, and log how it went (event=planted); what is in the table of planted.c. */
void	planted_try(const char *what, const char *argument);

#endif
