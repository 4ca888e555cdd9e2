/*
 * admin/http/routes.h - what there is to be asked for.
 */
#ifndef SALLYPORT_ADMIN_HTTP_ROUTES_H
#define SALLYPORT_ADMIN_HTTP_ROUTES_H

#include <stdio.h>

/* "GET /api/v1/status viewer", one a line, for the test of the OpenAPI file. */
void	routes_print(FILE *);

#endif
