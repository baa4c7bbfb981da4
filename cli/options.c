/* The command line: options from the table, NAME=VALUE inputs, -o outputs, files. Everything wrong is said at once and by name. */
#include "cli/cli.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef enum kind { FLAG, TEXT, NUMBER, COUNT } kind;

typedef struct option {
    const char *name;
    kind kind;
    const char *argument, *commands;
    size_t offset;
} option;

static const option table[] = {
#define X(field, name, KIND, argument, commands, what) {name, KIND, argument, commands, offsetof(cli_options, field)},
#include "cli/options.def"
#undef X
};
enum { OPTIONS = sizeof table / sizeof *table };

bool cli_word_in(const char *list, const char *word) {
    const size_t length = strlen(word);
    for (const char *at = list; (at = strstr(at, word)) != NULL; at += length)
        if ((at == list || at[-1] == ' ') && (at[length] == ' ' || at[length] == 0)) return true;
    return false;
}

/* "bench precision" is "precision" in the table. */
static const char *table_name(const char *command) {
    const char *blank = strrchr(command, ' ');
    return blank ? blank + 1 : command;
}

static bool unknown_option(const char *command, const char *name) {
    const char *names[OPTIONS];
    size_t count = 0;
    for (size_t i = 0; i < OPTIONS; i++)
        if (cli_word_in(table[i].commands, table_name(command))) names[count++] = table[i].name;
    const char *near = cli_suggest(name, names, count);
    if (near)
        cli_fail(QN_USAGE, "quern %s has no option '%s'; did you mean '%s'?", command, name, near);
    else
        cli_fail(QN_USAGE, "quern %s has no option '%s'; see 'quern help %s'", command, name, command);
    return false;
}

static bool set(cli_options *options, const option *o, const char *text) {
    void *field = (char *)options + o->offset;
    char *end = NULL;
    switch (o->kind) {
    case FLAG: *(bool *)field = true; return true;
    case TEXT: *(const char **)field = text; return true;
    case NUMBER: {
        const double value = strtod(text, &end);
        if (end == text || *end || !isfinite(value) || value <= 0) {
            cli_fail(QN_USAGE, "%s takes a positive number, found '%s'", o->name, text);
            return false;
        }
        *(double *)field = value;
        return true;
    }
    case COUNT: {
        errno = 0;
        const unsigned long value = strtoul(text, &end, 10);
        if (!isdigit((unsigned char)*text) || *end || errno || value == 0 || value > 1000000000UL) {
            cli_fail(QN_USAGE, "%s takes a whole number from 1 to 1000000000, found '%s'", o->name, text);
            return false;
        }
        *(uint32_t *)field = (uint32_t)value;
        return true;
    }
    }
    return false;
}

static bool is_name(const char *text, size_t length) {
    if (length == 0 || !(isalpha((unsigned char)*text) || *text == '_')) return false;
    for (size_t i = 1; i < length; i++)
        if (!(isalnum((unsigned char)text[i]) || text[i] == '_')) return false;
    return true;
}

/* Splits NAME=TEXT in place; name NULL when there is no `NAME=`. */
static cli_pair split(char *text) {
    char *equal = strchr(text, '=');
    if (!equal || !is_name(text, (size_t)(equal - text))) return (cli_pair){NULL, text};
    *equal = 0;
    return (cli_pair){text, equal + 1};
}

/* FILE.qn[:KERNEL] */
static bool set_file(cli_options *options, const char *text) {
    const char *colon = strrchr(text, ':');
    const bool named = colon && is_name(colon + 1, strlen(colon + 1)) && !strchr(colon, '/');
    options->file = strndup(text, named ? (size_t)(colon - text) : strlen(text));
    options->kernel = named ? strdup(colon + 1) : NULL;
    return options->file && (!named || options->kernel);
}

static bool long_option(cli_options *options, const char *command, int argc, char **argv, int *i) {
    char *argument = argv[*i];
    char *equal = strchr(argument, '=');
    const size_t length = equal ? (size_t)(equal - argument) : strlen(argument);
    for (size_t k = 0; k < OPTIONS; k++) {
        const option *o = &table[k];
        if (strlen(o->name) != length || strncmp(o->name, argument, length) != 0 || !cli_word_in(o->commands, table_name(command))) continue;
        if (o->kind == FLAG) {
            if (!equal) return set(options, o, NULL);
            cli_fail(QN_USAGE, "%s takes no value", o->name);
            return false;
        }
        const char *value = equal ? equal + 1 : *i + 1 < argc ? argv[++*i] : NULL;
        if (value) return set(options, o, value);
        cli_fail(QN_USAGE, "%s needs a value: %s", o->name, o->argument);
        return false;
    }
    if (equal) *equal = 0;
    return unknown_option(command, argument);
}

static bool positional(cli_options *options, char *argument) {
    const cli_pair pair = split(argument);
    if (pair.name) {
        options->inputs[options->input_count++] = pair;
        return true;
    }
    options->files[options->file_count++] = argument;
    return options->file || set_file(options, argument);
}

int cli_thread_counts(const cli_options *options, uint32_t counts[CLI_MAX_THREAD_COUNTS], size_t *count) {
    *count = 0;
    for (const char *at = options->threads; at && *at;) {
        char *end = NULL;
        const unsigned long value = isdigit((unsigned char)*at) ? strtoul(at, &end, 10) : 0;
        if (!end || value == 0 || value > 1024 || (*end && *end != ','))
            return cli_fail(QN_USAGE, "--threads takes numbers from 1 to 1024, with commas, found '%s'", options->threads);
        if (*count == CLI_MAX_THREAD_COUNTS) return cli_fail(QN_USAGE, "--threads: at most %d numbers", CLI_MAX_THREAD_COUNTS);
        counts[(*count)++] = (uint32_t)value;
        at = end + (*end == ',');
    }
    return options->threads && *count == 0 ? cli_fail(QN_USAGE, "--threads is empty") : QN_OK;
}

/* The one number that a command other than bench takes. */
static bool one_thread_count(cli_options *options, const char *command) {
    uint32_t counts[CLI_MAX_THREAD_COUNTS];
    size_t count;
    if (cli_thread_counts(options, counts, &count) != QN_OK) return false;
    if (count == 1) options->thread_count = counts[0];
    if (count < 2 || strcmp(command, "bench") == 0) return true;
    cli_fail(QN_USAGE, "quern %s takes one number of threads, found '%s'", command, options->threads);
    return false;
}

bool cli_parse(cli_options *options, const char *command, int argc, char **argv) {
    *options = (cli_options){0};
    const size_t room = (size_t)argc + 1;
    options->inputs = calloc(room, sizeof *options->inputs);
    options->outputs = calloc(room, sizeof *options->outputs);
    options->files = calloc(room, sizeof *options->files);
    if (!options->inputs || !options->outputs || !options->files) {
        cli_fail(QN_RESOURCE, "out of memory");
        return false;
    }
    for (int i = 0; i < argc; i++) {
        char *argument = argv[i];
        if (strcmp(argument, "-o") == 0) {
            if (++i >= argc) {
                cli_fail(QN_USAGE, "-o needs a value: [NAME=]FILE");
                return false;
            }
            options->outputs[options->output_count++] = split(argv[i]);
        } else if (strncmp(argument, "--", 2) == 0) {
            if (!long_option(options, command, argc, argv, &i)) return false;
        } else if (argument[0] == '-' && argument[1] != 0) {
            return unknown_option(command, argument);
        } else if (!positional(options, argument)) {
            cli_fail(QN_RESOURCE, "out of memory");
            return false;
        }
    }
    return one_thread_count(options, command);
}

void cli_options_free(cli_options *options) {
    free(options->file);
    free(options->kernel);
    free(options->files);
    free(options->inputs);
    free(options->outputs);
    *options = (cli_options){0};
}
