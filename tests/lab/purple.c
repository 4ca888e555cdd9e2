/*
 * tests/lab/purple.c - Pidgin-SIPE without a screen: one account of libpurple,
 * signed in and driven by lines. It stands for the clients that sign what they say.
 *
 *	purple DIRECTORY USER@DOMAIN LOGIN PASSWORD SERVER:PORT ADDRESS CA-DIRECTORY SCHEME
 *
 * SERVER is a name that the server's certificate proves, ADDRESS where it is.
 * LOGIN is as the user would type it ("EXAMPLE\alice", "alice@example.com"),
 * SCHEME is ntlm or krb5. DIRECTORY must be fresh; debug.log in it has every
 * message, every text that was signed, and the session key.
 *
 * Lines on standard input:
 *
 *	say URI TEXT	offline		online		quit
 *
 * Lines on standard output:
 *
 *	connected	error NUMBER TEXT	received URI: TEXT
 *	said URI: TEXT	failed URI: TEXT	buddy URI online|offline
 *
 * Built by tests/system/sipe.sh, since it needs libpurple-dev:
 *
 *	cc -rdynamic purple.c $(pkg-config --cflags --libs purple libxml-2.0)
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <netinet/in.h>

#include <dlfcn.h>
#include <libxml/parser.h>
#include <purple.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static GMainLoop	*loop;
static PurpleAccount	*account;
static FILE		*debug_log;
static const char	*server_name, *server_address;

static void say(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

static void
say(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
	fflush(stdout);
}

/*
 * prpl-sipe hands libxml2 callbacks of its first interface, marked as being of
 * the second. Debian 12's libxml2 then calls none of them, and no XML body is
 * understood. This function, exported by -rdynamic, comes before the library's.
 */
int
xmlSAXUserParseMemory(xmlSAXHandlerPtr given, void *arg, const char *text, int n)
{
	int (*library)(xmlSAXHandlerPtr, void *, const char *, int);
	xmlSAXHandler mended;

	*(void **)&library = dlsym(RTLD_NEXT, "xmlSAXUserParseMemory");
	if (given == NULL || given->initialized != XML_SAX2_MAGIC || given->startElement == NULL ||
	    given->startElementNs != NULL)
		return library(given, arg, text, n);
	mended = *given;
	mended.initialized = 1;
	return library(&mended, arg, text, n);
}

/* --- libpurple's loop on GLib's ------------------------------------------------- */

struct watch {
	PurpleInputFunction	 fn;
	gpointer		 arg;
};

static gboolean
ready(GIOChannel *ch, GIOCondition what, gpointer arg)
{
	struct watch *w = arg;
	int condition = 0;

	if ((what & (G_IO_IN | G_IO_HUP | G_IO_ERR)) != 0)
		condition |= PURPLE_INPUT_READ;
	if ((what & (G_IO_OUT | G_IO_HUP | G_IO_ERR)) != 0)
		condition |= PURPLE_INPUT_WRITE;
	w->fn(w->arg, g_io_channel_unix_get_fd(ch), (PurpleInputCondition)condition);
	return TRUE;
}

static guint
watch(int fd, PurpleInputCondition condition, PurpleInputFunction fn, gpointer arg)
{
	GIOCondition what = G_IO_HUP | G_IO_ERR;
	struct watch *w = g_new0(struct watch, 1);
	GIOChannel *ch = g_io_channel_unix_new(fd);
	guint id;

	if ((condition & PURPLE_INPUT_READ) != 0)
		what |= G_IO_IN;
	if ((condition & PURPLE_INPUT_WRITE) != 0)
		what |= G_IO_OUT;
	w->fn = fn;
	w->arg = arg;
	id = g_io_add_watch_full(ch, G_PRIORITY_DEFAULT, what, ready, w, g_free);
	g_io_channel_unref(ch);
	return id;
}

static PurpleEventLoopUiOps loop_ops = {
	.timeout_add = g_timeout_add, .timeout_remove = g_source_remove, .input_add = watch,
	.input_remove = g_source_remove, .timeout_add_seconds = g_timeout_add_seconds
};

/* --- names, from the command line -------------------------------------------------- */

struct lookup {
	PurpleDnsQueryData	*query;
	PurpleDnsQueryResolvedCallback found;
	PurpleDnsQueryFailedCallback failed;
};

static gboolean
answer(gpointer arg)
{
	struct lookup *l = arg;
	struct sockaddr_in *sin = g_new0(struct sockaddr_in, 1);
	GSList *addresses = NULL;

	if (strcmp(purple_dnsquery_get_host(l->query), server_name) != 0 ||
	    inet_pton(AF_INET, server_address, &sin->sin_addr) != 1) {
		g_free(sin);
		l->failed(l->query, "no such name in the lab");
	} else {
		sin->sin_family = AF_INET;
		sin->sin_port = htons(purple_dnsquery_get_port(l->query));
		addresses = g_slist_append(addresses, GINT_TO_POINTER(sizeof(*sin)));
		addresses = g_slist_append(addresses, sin);
		l->found(l->query, addresses);
	}
	g_free(l);
	return FALSE;
}

/* The answer must not come before this has returned. */
static gboolean
resolve(PurpleDnsQueryData *query, PurpleDnsQueryResolvedCallback found, PurpleDnsQueryFailedCallback failed)
{
	struct lookup *l = g_new0(struct lookup, 1);

	l->query = query;
	l->found = found;
	l->failed = failed;
	g_idle_add(answer, l);
	return TRUE;
}

static void
forget(PurpleDnsQueryData *query)
{
	(void)query;
}

static PurpleDnsQueryUiOps dns_ops = { .resolve_host = resolve, .destroy = forget };

/* --- what happens --------------------------------------------------------------------- */

static void
connected(PurpleConnection *gc)
{
	(void)gc;
	say("connected");
}

static void
disconnected(PurpleConnection *gc, PurpleConnectionError why, const char *text)
{
	(void)gc;
	say("error %d %s", (int)why, text);
}

static PurpleConnectionUiOps connection_ops = {
	.connected = connected, .report_disconnect_reason = disconnected
};

static void
written(PurpleConversation *c, const char *name, const char *alias, const char *markup, PurpleMessageFlags flags,
    time_t when)
{
	const char *what = (flags & PURPLE_MESSAGE_ERROR) != 0 ? "failed" : (flags & PURPLE_MESSAGE_RECV) != 0 ? "received" :
	    (flags & PURPLE_MESSAGE_SEND) != 0 ? "said" : "note";
	char *text = purple_markup_strip_html(markup);

	(void)name;
	(void)alias;
	(void)when;
	say("%s %s: %s", what, purple_conversation_get_name(c), text);
	g_free(text);
}

static PurpleConversationUiOps conversation_ops = { .write_conv = written };

static void
buddy_changed(PurpleBuddy *b, gpointer state)
{
	say("buddy %s %s", purple_buddy_get_name(b), (const char *)state);
}

/* A certificate that does not verify: no. The button's function must not run inside of this call. */
struct press {
	PurpleRequestActionCb	 fn;
	gpointer		 arg;
	int			 button;
};

static gboolean
press(gpointer arg)
{
	struct press *p = arg;

	if (p->fn != NULL)
		p->fn(p->arg, p->button);
	g_free(p);
	return FALSE;
}

static void *
question(const char *title, const char *primary, const char *secondary, int dflt, PurpleAccount *a, const char *who,
    PurpleConversation *conv, gpointer arg, size_t n, va_list buttons)
{
	struct press *p = g_new0(struct press, 1);

	(void)dflt;
	(void)a;
	(void)who;
	(void)conv;
	say("asked %s: %s", title != NULL ? title : "", primary != NULL ? primary : secondary != NULL ? secondary : "");
	for (size_t i = 0; i < n; i++) {
		const char *label = va_arg(buttons, char *);
		PurpleRequestActionCb fn = (PurpleRequestActionCb)va_arg(buttons, GCallback);

		if (strstr(label, "eject") != NULL || i + 1 == n) {
			p->fn = fn;
			p->button = (int)i;
			break;
		}
	}
	p->arg = arg;
	g_idle_add(press, p);
	return p;
}

static PurpleRequestUiOps request_ops = { .request_action = question };

static void
debug_print(PurpleDebugLevel level, const char *category, const char *text)
{
	(void)level;
	fprintf(debug_log, "%s: %s", category != NULL ? category : "", text);
	fflush(debug_log);
}

static gboolean
debug_wanted(PurpleDebugLevel level, const char *category)
{
	(void)level;
	(void)category;
	return TRUE;
}

static PurpleDebugUiOps debug_ops = { .print = debug_print, .is_enabled = debug_wanted };

static void
ui_begins(void)
{
	purple_connections_set_ui_ops(&connection_ops);
	purple_conversations_set_ui_ops(&conversation_ops);
	purple_request_set_ui_ops(&request_ops);
}

static PurpleCoreUiOps core_ops = { .ui_init = ui_begins };

/* --- commands --------------------------------------------------------------------------- */

static void
tell(const char *uri, const char *text)
{
	PurpleConversation *c = purple_find_conversation_with_account(PURPLE_CONV_TYPE_IM, uri, account);
	char *markup = g_markup_escape_text(text, -1);

	if (c == NULL)
		c = purple_conversation_new(PURPLE_CONV_TYPE_IM, account, uri);
	purple_conv_im_send(PURPLE_CONV_IM(c), markup);
	g_free(markup);
}

static gboolean
command(GIOChannel *ch, GIOCondition what, gpointer arg)
{
	gchar *line = NULL, **word;

	(void)what;
	(void)arg;
	if (g_io_channel_read_line(ch, &line, NULL, NULL, NULL) != G_IO_STATUS_NORMAL) {
		g_main_loop_quit(loop);
		return FALSE;
	}
	word = g_strsplit(g_strchomp(line), " ", 3);
	if (g_strcmp0(word[0], "say") == 0 && word[1] != NULL && word[2] != NULL)
		tell(word[1], word[2]);
	else if (g_strcmp0(word[0], "offline") == 0)
		purple_account_set_enabled(account, "lab", FALSE);
	else if (g_strcmp0(word[0], "online") == 0)
		purple_account_set_enabled(account, "lab", TRUE);
	else if (g_strcmp0(word[0], "quit") == 0)
		g_main_loop_quit(loop);
	else
		say("what? %s", line);
	g_strfreev(word);
	g_free(line);
	return TRUE;
}

static void
make_account(const char *user, const char *login, const char *password, const char *server, const char *scheme)
{
	char *name = g_strdup_printf("%s,%s", user, login);

	account = purple_account_new(name, "prpl-sipe");
	purple_account_set_remember_password(account, TRUE);
	purple_account_set_password(account, password);
	purple_account_set_string(account, "server", server);
	purple_account_set_string(account, "transport", "tls");
	purple_account_set_string(account, "authentication", scheme);
	purple_accounts_add(account);
	g_free(name);
}

int
main(int argc, char **argv)
{
	static int self;
	char *log_name;
	GIOChannel *in;

	if (argc != 9) {
		fprintf(stderr, "usage: purple DIRECTORY USER@DOMAIN LOGIN PASSWORD SERVER:PORT ADDRESS CA-DIRECTORY SCHEME\n");
		return 64;
	}
	signal(SIGPIPE, SIG_IGN);
	server_name = g_strndup(argv[5], strcspn(argv[5], ":"));
	server_address = argv[6];
	log_name = g_build_filename(argv[1], "debug.log", NULL);
	if ((debug_log = fopen(log_name, "w")) == NULL) {
		perror(log_name);
		return 73;
	}
	g_free(log_name);
	purple_util_set_user_dir(argv[1]);
	purple_certificate_add_ca_search_path(argv[7]);
	purple_debug_set_ui_ops(&debug_ops);
	purple_debug_set_verbose(TRUE);
	purple_debug_set_unsafe(TRUE);
	purple_core_set_ui_ops(&core_ops);
	purple_eventloop_set_ui_ops(&loop_ops);
	purple_dnsquery_set_ui_ops(&dns_ops);
	if (!purple_core_init("lab")) {
		fprintf(stderr, "purple: libpurple does not start\n");
		return 70;
	}
	purple_set_blist(purple_blist_new());
	purple_prefs_load();
	purple_signal_connect(purple_blist_get_handle(), "buddy-signed-on", &self, PURPLE_CALLBACK(buddy_changed),
	    (gpointer)(uintptr_t)"online");
	purple_signal_connect(purple_blist_get_handle(), "buddy-signed-off", &self, PURPLE_CALLBACK(buddy_changed),
	    (gpointer)(uintptr_t)"offline");
	make_account(argv[2], argv[3], argv[4], argv[5], argv[8]);
	in = g_io_channel_unix_new(STDIN_FILENO);
	g_io_add_watch(in, G_IO_IN | G_IO_HUP, command, NULL);
	loop = g_main_loop_new(NULL, FALSE);
	purple_savedstatus_activate(purple_savedstatus_new(NULL, PURPLE_STATUS_AVAILABLE));
	purple_account_set_enabled(account, "lab", TRUE);
	g_main_loop_run(loop);
	if (purple_account_is_connected(account))
		purple_account_disconnect(account);	/* signs out */
	while (g_main_context_iteration(NULL, FALSE))
		;
	fflush(NULL);
	_exit(0);	/* plug-ins do not survive being unloaded */
}
