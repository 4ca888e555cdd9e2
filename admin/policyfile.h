/*
 * admin/policyfile.h - policy.conf into policy rules.
 *
 * libconfig reads the file (common/conf.h), the policy room judges what it
 * says (policy/rules.h). All errors of both come out together, each with the
 * file and line where it stands.
 */
#ifndef SALLYPORT_ADMIN_POLICYFILE_H
#define SALLYPORT_ADMIN_POLICYFILE_H

#include <stdio.h>

struct conf_errors;
struct policy_rules;

/*
 * The rules, owned by the caller (policy_rules_unref()), or NULL with every
 * error added to errs. file is borrowed only during the call.
 */
struct policy_rules *policyfile_load(const char *file, struct conf_errors *errs);

/* Every option of policy.conf, as conf_print_options() prints it. */
void	policyfile_print_options(FILE *);

#endif
