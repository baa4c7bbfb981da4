/* quern check: every error and warning of the given files, as text or as one JSON array. */
#include "cli/cli.h"

#include <stdio.h>
#include <string.h>

typedef struct collector {
    qn__text text;
    size_t count, errors, warnings;
    bool json;
} collector;

static void add_json(qn__text *out, const qn_diagnostic *d) {
    const struct { const char *key, *value; } texts[] = {{"severity", d->is_error ? "error" : "warning"}, {"code", d->code},
                                                         {"message", d->message}, {"path", d->path}, {"rendered", d->rendered}};
    qn__text_add_char(out, '{');
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        qn__text_format(out, "%s\"%s\": ", i ? ", " : "", texts[i].key);
        qn__text_add_json_string(out, texts[i].value, strlen(texts[i].value));
    }
    qn__text_format(out, ", \"line\": %u, \"column\": %u, \"length\": %u}", d->line, d->column, d->length);
}

static void collect(void *user, const qn_diagnostic *d) {
    collector *c = user;
    if (c->json) {
        qn__text_add_string(&c->text, c->count ? ",\n " : "");
        add_json(&c->text, d);
    } else {
        fprintf(stderr, "%s%s", c->count ? "\n" : "", d->rendered);
    }
    c->count++;
    c->errors += d->is_error;
    c->warnings += !d->is_error;
}

static int check_file(const char *path, const cli_options *options, collector *c) {
    cli_call call = {0};
    cli_options one = *options;
    one.file = (char *)(uintptr_t)path;
    one.file_count = 1;
    int status = cli_open(&call, &one, collect, c);
    qn_error error;
    if (status == QN_OK && qn_module_check(call.module, &error) != QN_OK) status = QN_SOURCE;
    cli_call_free(&call);
    return status;
}

int cli_check(int argc, char **argv) {
    cli_options options;
    int worst = cli_parse(&options, "check", argc, argv) ? QN_OK : QN_USAGE;
    if (worst == QN_OK && options.file_count == 0) worst = cli_fail(QN_USAGE, "a source file is expected: quern check FILE.qn ...");
    collector c = {.json = options.json};
    if (worst == QN_OK && c.json) qn__text_add_char(&c.text, '[');
    for (size_t i = 0; worst != QN_USAGE && i < options.file_count; i++) {
        const int status = check_file(options.files[i], &options, &c);
        if (status > worst) worst = status;
    }
    if (worst != QN_USAGE && c.json) {
        qn__text_add_string(&c.text, "]\n");
        if (!cli_write(&c.text)) worst = cli_fail(QN_IO, "standard output cannot be written");
    } else if (worst == QN_OK || worst == QN_SOURCE) {
        if (c.count) fprintf(stderr, "\n%zu error%s, %zu warning%s\n", c.errors, c.errors == 1 ? "" : "s", c.warnings, c.warnings == 1 ? "" : "s");
    }
    qn__text_free(&c.text);
    cli_options_free(&options);
    return worst;
}
