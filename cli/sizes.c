/* Readers of sizes and of {n}; the crossing of two measured curves. Nothing here knows of options or kernels. */
#include "cli/sizes.h"

#include <ctype.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const double LARGEST = 0x1p48;

__attribute__((format(printf, 2, 3))) static bool fail(char message[CLI_SIZES_MESSAGE], const char *format, ...) {
    va_list list;
    va_start(list, format);
    vsnprintf(message, CLI_SIZES_MESSAGE, format, list);
    va_end(list);
    return false;
}

/* One number with an optional Ki, Mi or Gi and B; moves *at behind it. The digits are ended by hand: strtod would take "1." of "1..8". */
static bool read_size(const char **at, double *value, char message[CLI_SIZES_MESSAGE]) {
    static const char *const units[] = {"Ki", "Mi", "Gi"};
    char digits[32];
    size_t n = 0;
    while (n + 1 < sizeof digits && (isdigit((unsigned char)(*at)[n]) || (*at)[n] == 'e' || ((*at)[n] == '.' && (*at)[n + 1] != '.'))) {
        digits[n] = (*at)[n];
        n++;
    }
    digits[n] = 0;
    char *end = NULL;
    *value = strtod(digits, &end);
    if (n == 0 || *end) return fail(message, "a size is expected at '%.20s'", *at);
    *at += n;
    for (int u = 0; u < 3; u++) {
        if (strncmp(*at, units[u], 2) != 0) continue;
        *value = ldexp(*value, 10 * (u + 1));
        *at += 2 + ((*at)[2] == 'B');
        break;
    }
    if (!(*value >= 1 && *value <= LARGEST) || *value != floor(*value)) return fail(message, "%g is no size: a whole number from 1 on is expected", *value);
    return true;
}

static bool add_size(double value, uint64_t *sizes, size_t *count, char message[CLI_SIZES_MESSAGE]) {
    if (*count == CLI_MAX_SIZES) return fail(message, "these are more than %d sizes", CLI_MAX_SIZES);
    if (*count && (double)sizes[*count - 1] >= value) return fail(message, "sizes ascend, but %.0f follows %.0f", value, (double)sizes[*count - 1]);
    sizes[(*count)++] = (uint64_t)value;
    return true;
}

bool cli_sizes_parse(const char *text, uint64_t sizes[CLI_MAX_SIZES], size_t *count, char message[CLI_SIZES_MESSAGE]) {
    *count = 0;
    for (const char *at = text;; at++) {
        double low, high = 0, factor = 4;
        if (!read_size(&at, &low, message)) return false;
        if (strncmp(at, "..", 2) == 0) {
            at += 2;
            if (!read_size(&at, &high, message)) return false;
            if (*at == '*') {
                char *end = NULL;
                factor = strtod(at + 1, &end);
                if (end == at + 1 || !(factor >= 1.01 && factor <= 1e6)) return fail(message, "a factor from 1.01 on is expected behind '*'");
                at = end;
            }
            if (high < low) return fail(message, "%.0f..%.0f is empty", low, high);
            double last = 0;
            for (double v = low; v < high * (1 - 1e-9); v *= factor) {
                const double whole = round(v);
                if (whole > last && !add_size(whole, sizes, count, message)) return false;
                last = whole;
            }
            low = high;
        }
        if ((*count == 0 || (double)sizes[*count - 1] != low || high == 0) && !add_size(low, sizes, count, message)) return false;
        if (*at == 0) return true;
        if (*at != ',') return fail(message, "',' is expected at '%.20s'", at);
    }
}

static bool compute(const char *at, const char *end, uint64_t n, int64_t *value, char message[CLI_SIZES_MESSAGE]) {
    while (at < end && *at == ' ') at++;
    if (at == end || *at != 'n') return fail(message, "'{%.*s}': write {n}, {n*2}, {n/4+1}", (int)(end - at), at);
    *value = (int64_t)n;
    for (at++; at < end;) {
        while (at < end && *at == ' ') at++;
        if (at == end) break;
        const char sign = *at++;
        while (at < end && *at == ' ') at++;
        char *stop = NULL;
        const long long operand = at < end && isdigit((unsigned char)*at) ? strtoll(at, &stop, 10) : -1;
        if (operand < 0 || !strchr("+-*/", sign)) return fail(message, "'{...%.*s}': + - * / and a whole number are expected behind n", (int)(end - at), at);
        at = stop;
        bool wide = false;
        if (sign == '/' && operand == 0) return fail(message, "division by 0 in braces");
        if (sign == '+') wide = __builtin_add_overflow(*value, operand, value);
        else if (sign == '-') wide = __builtin_sub_overflow(*value, operand, value);
        else if (sign == '*') wide = __builtin_mul_overflow(*value, operand, value);
        else *value /= operand;
        if (wide) return fail(message, "a number in braces is too large");
    }
    return *value >= 0 ? true : fail(message, "a number in braces is negative: %lld", (long long)*value);
}

bool cli_sizes_expand(const char *text, uint64_t n, qn__text *out, size_t *uses, char message[CLI_SIZES_MESSAGE]) {
    for (const char *at = text; *at; at++) {
        if (*at != '{') {
            if (*at == '}') return fail(message, "'}' without '{'");
            qn__text_add_char(out, *at);
            continue;
        }
        const char *end = strchr(at, '}');
        int64_t value = 0;
        if (!end) return fail(message, "'{' without '}'");
        if (!compute(at + 1, end, n, &value, message)) return false;
        qn__text_format(out, "%lld", (long long)value);
        ++*uses;
        at = end;
    }
    return true;
}

cli_crossing cli_crossover(const double *x, const double *a, const double *b, size_t count, double *at) {
    size_t first = count, previous = count, last = count; /* the point from which on b is below; the last one before it; the last of all */
    for (size_t i = 0; i < count; i++) {
        if (!isfinite(a[i]) || !isfinite(b[i])) continue;
        last = i;
        if (b[i] < a[i]) {
            if (first == count) first = i;
        } else {
            first = count;
            previous = i;
        }
    }
    if (last == count) return CLI_UNKNOWN;
    if (first == count || b[last] >= (1 - CLI_MARGIN) * a[last]) return CLI_NEVER;
    if (previous == count) return CLI_ALWAYS;
    const double before = log(b[previous] / a[previous]), behind = log(b[first] / a[first]); /* before >= 0 > behind */
    *at = exp(log(x[previous]) + before / (before - behind) * log(x[first] / x[previous]));
    return CLI_FROM;
}

void cli_time_text(char text[32], double ms) {
    const double ns = ms * 1e6;
    if (ns < 999.5) snprintf(text, 32, "%.0f ns", ns);
    else if (ns < 999.95e3) snprintf(text, 32, "%#.4g us", ns * 1e-3);
    else if (ns < 999.95e6) snprintf(text, 32, "%#.4g ms", ms);
    else snprintf(text, 32, "%#.4g s", ms * 1e-3);
}
