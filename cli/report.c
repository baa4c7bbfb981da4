/* Messages on standard error: one form for all, the source line with a caret where there is a place. */
#include "cli/cli.h"

#include "compiler/diagnostic.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum { LINE = 512 }; /* longer source lines are not shown */

int cli_fail(int status, const char *format, ...) {
    const bool colour = isatty(STDERR_FILENO) && !getenv("NO_COLOR");
    fputs(colour ? "\033[1mquern: \033[31merror:\033[0m " : "quern: error: ", stderr);
    va_list list;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
    return status;
}

bool cli_colour(const cli_options *options) {
    if (options->colour && strcmp(options->colour, "always") == 0) return true;
    if (options->colour && strcmp(options->colour, "never") == 0) return false;
    return isatty(STDERR_FILENO) && !getenv("NO_COLOR");
}

/* The line of a file without its newline; false when it cannot be had or is too long. */
static bool source_line(const char *path, uint32_t number, char line[LINE]) {
    FILE *file = fopen(path, "rb");
    if (!file) return false;
    uint32_t at = 1;
    int c;
    while (at < number && (c = getc(file)) != EOF)
        if (c == '\n') at++;
    const bool found = at == number && fgets(line, LINE, file);
    fclose(file);
    if (!found) return false;
    const size_t length = strcspn(line, "\r\n");
    if (length == LINE - 1) return false;
    line[length] = 0;
    return true;
}

int cli_report(const qn_error *error, bool colour) {
    if (error->status == QN_SOURCE) return (int)error->status; /* the diagnostics were printed as they came */
    if (error->line == 0) return cli_fail((int)error->status, "%s", error->message);
    const char *red = colour ? "\033[1;31m" : "", *bold = colour ? "\033[1m" : "", *plain = colour ? "\033[0m" : "";
    fprintf(stderr, "%s%s:%u:%u:%s %s%s:%s %s\n", bold, error->path, error->line, error->column, plain, red, error->status == QN_FAULT ? "run-time error" : "error", plain,
            error->message);
    char line[LINE];
    if (source_line(error->path, error->line, line)) {
        const size_t length = strlen(line);
        fprintf(stderr, "%5u | %s\n      | ", error->line, line);
        for (size_t i = 0; i + 1 < error->column && i < length; i++) fputc(line[i] == '\t' ? '\t' : ' ', stderr);
        fputs(red, stderr);
        for (uint32_t i = 0; i < (error->length ? error->length : 1) && error->column - 1 + i < length; i++)
            fputc(i ? '~' : '^', stderr);
        fprintf(stderr, "%s\n", plain);
    }
    return (int)error->status;
}

int cli_write_file(const char *path, const qn__text *text) {
    if (text->failed) return cli_fail(QN_RESOURCE, "out of memory");
    FILE *file = fopen(path, "wb");
    if (!file) return cli_fail(QN_IO, "%s: %s", path, strerror(errno));
    const bool written = fwrite(qn__text_bytes(text), 1, text->length, file) == text->length;
    const int reason = errno;
    if (fclose(file) == 0 && written) return QN_OK;
    return cli_fail(QN_IO, "%s: %s", path, strerror(written ? errno : reason));
}

void cli_title(const cli_options *options, char *title, size_t size) {
    qn__text text = QN__TEXT_EMPTY;
    const char *base = options->file ? strrchr(options->file, '/') : NULL;
    qn__text_format(&text, "%s%s%s", base ? base + 1 : options->file ? options->file : "", options->kernel ? ":" : "", options->kernel ? options->kernel : "");
    for (size_t i = 0; i < options->input_count; i++) qn__text_format(&text, " %s=%s", options->inputs[i].name, options->inputs[i].text);
    snprintf(title, size, "%s", qn__text_bytes(&text));
    qn__text_free(&text);
}

const char *cli_suggest(const char *word, const char *const *list, size_t count) { return qn__suggest(word, list, count); }

double cli_now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec * 1e-6;
}
