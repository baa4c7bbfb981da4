/* Both kinds of plot share frame, axes, title and legend; the legend stands right of the frame, so that it never hides data. Texts that come from outside are
 * escaped. Numbers are written with two decimals at most, which is a hundredth of a pixel. Colours are Okabe and Ito's, which colour-blind readers can
 * tell apart; lines differ in their markers, too. */
#include "cli/svg.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

enum { WIDTH = 860, HEIGHT = 480, LEFT = 84, RIGHT = 640, TOP = 52, BOTTOM = 412, MAX_TICKS = 64, LEGEND_CUT = 26, TITLE_CUT = 90 };
static const char *const colours[] = {"#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"};
enum { COLOURS = sizeof colours / sizeof *colours };

typedef struct axis {
    double low, high; /* of values; on a logarithmic axis their log10 */
    double from, to;  /* pixels */
    bool log;
} axis;
typedef struct tick { double value; bool labelled; } tick;

__attribute__((format(printf, 2, 3))) static void add(qn__text *out, const char *format, ...) {
    char line[512];
    va_list list;
    va_start(list, format);
    vsnprintf(line, sizeof line, format, list);
    va_end(list);
    qn__text_add_string(out, line);
}

/* At most `cut` characters; longer texts end in an ellipsis. */
static void add_escaped(qn__text *out, const char *text, size_t cut) {
    size_t characters = 0;
    for (const char *c = text; *c; c++) {
        if (((unsigned char)*c & 0xC0) != 0x80 && ++characters > cut) {
            qn__text_add_string(out, "\xE2\x80\xA6");
            return;
        }
        switch (*c) {
        case '<': qn__text_add_string(out, "&lt;"); break;
        case '>': qn__text_add_string(out, "&gt;"); break;
        case '&': qn__text_add_string(out, "&amp;"); break;
        case '"': qn__text_add_string(out, "&quot;"); break;
        default: qn__text_add_char(out, (unsigned char)*c < 32 ? ' ' : *c);
        }
    }
}

/* ---- axes ---- */
static bool usable(double v, bool log) { return isfinite(v) && (!log || v > 0); }

static double place(const axis *a, double value) {
    const double v = a->log ? log10(value) : value;
    return a->from + (v - a->low) / (a->high - a->low) * (a->to - a->from);
}

/* The step of 1, 2 or 5 times a power of ten that gives at most ten ticks. */
static double nice_step(double span) {
    const double power = pow(10, floor(log10(span / 10)));
    const double ratio = span / 10 / power;
    return power * (ratio <= 1 ? 1 : ratio <= 2 ? 2 : ratio <= 5 ? 5 : 10);
}

/* Widens low..high to whole decades, or steps; low > high: nothing was seen. */
static axis make_axis(double low, double high, bool log, double from, double to) {
    axis a = {.from = from, .to = to, .log = log, .low = 0, .high = 1};
    if (low > high) return a;
    if (log) {
        a.low = floor(log10(low) + 1e-9);
        a.high = ceil(log10(high) - 1e-9);
        if (a.high <= a.low) a.high = a.low + 1;
        return a;
    }
    if (low > 0 && low < 0.5 * high) low = 0;
    if (high <= low) high = low + (low != 0 ? fabs(low) : 1);
    const double step = nice_step(high - low);
    a.low = floor(low / step + 1e-9) * step;
    a.high = ceil(high / step - 1e-9) * step;
    return a;
}

static int log_ticks(const axis *a, tick ticks[MAX_TICKS]) {
    const double decades = a->high - a->low;
    const int every = (int)ceil(decades / 12);
    int n = 0, k = 0;
    for (double d = a->low; d <= a->high + 0.5 && n < MAX_TICKS; d++, k++) {
        ticks[n++] = (tick){pow(10, d), k % every == 0};
        for (int m = 2; m < 10 && decades <= 5 && d < a->high && n < MAX_TICKS; m++)
            ticks[n++] = (tick){m * pow(10, d), decades <= 2 && (m == 2 || m == 5)};
    }
    return n;
}

static int linear_ticks(const axis *a, tick ticks[MAX_TICKS]) {
    const double step = nice_step(a->high - a->low);
    int n = 0;
    for (double k = round(a->low / step); k * step <= a->high + step / 2 && n < MAX_TICKS; k++) ticks[n++] = (tick){k * step, true};
    return n;
}

/* 0.001, 10, 1000, else 10 with the power raised (of a logarithmic axis). */
static void tick_text(qn__text *out, const axis *a, double value) {
    const double power = log10(value);
    if (a->log && (value >= 9.999e4 || value < 9.999e-4) && fabs(power - round(power)) < 1e-9)
        add(out, "10<tspan dy=\"-5\" font-size=\"9\">%.0f</tspan>", round(power));
    else add(out, "%.6g", fabs(value) < 1e-12 * fabs(a->high - a->low) ? 0.0 : value);
}

static void draw_axis(qn__text *out, const axis *a, bool vertical) {
    tick ticks[MAX_TICKS];
    const int n = a->log ? log_ticks(a, ticks) : linear_ticks(a, ticks);
    for (int i = 0; i < n; i++) {
        const double at = place(a, ticks[i].value);
        const char *colour = ticks[i].labelled ? "#d0d0d0" : "#efefef";
        if (vertical) add(out, "<line x1=\"%d\" y1=\"%.2f\" x2=\"%d\" y2=\"%.2f\" stroke=\"%s\"/>\n", LEFT, at, RIGHT, at, colour);
        else add(out, "<line x1=\"%.2f\" y1=\"%d\" x2=\"%.2f\" y2=\"%d\" stroke=\"%s\"/>\n", at, TOP, at, BOTTOM, colour);
        if (!ticks[i].labelled) continue;
        if (vertical) add(out, "<text x=\"%d\" y=\"%.2f\" text-anchor=\"end\">", LEFT - 8, at + 4);
        else add(out, "<text x=\"%.2f\" y=\"%d\" text-anchor=\"middle\">", at, BOTTOM + 20);
        tick_text(out, a, ticks[i].value);
        qn__text_add_string(out, "</text>\n");
    }
}

/* ---- what both have ---- */
static void begin(qn__text *out, const cli_plot *plot) {
    add(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" font-family=\"sans-serif\" font-size=\"12\" fill=\"#222\">\n",
        WIDTH, HEIGHT, WIDTH, HEIGHT);
    add(out, "<rect width=\"%d\" height=\"%d\" fill=\"#ffffff\"/>\n", WIDTH, HEIGHT);
    if (plot->title) {
        add(out, "<text x=\"%d\" y=\"28\" font-size=\"15\" font-weight=\"bold\">", LEFT);
        add_escaped(out, plot->title, TITLE_CUT);
        qn__text_add_string(out, "</text>\n");
    }
    if (plot->x_label) {
        add(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\" font-size=\"13\">", (LEFT + RIGHT) / 2, BOTTOM + 46);
        add_escaped(out, plot->x_label, TITLE_CUT);
        qn__text_add_string(out, "</text>\n");
    }
    if (plot->y_label) {
        add(out, "<text transform=\"translate(22 %d) rotate(-90)\" text-anchor=\"middle\" font-size=\"13\">", (TOP + BOTTOM) / 2);
        add_escaped(out, plot->y_label, TITLE_CUT);
        qn__text_add_string(out, "</text>\n");
    }
}

static void end(qn__text *out, bool empty) {
    add(out, "<rect x=\"%d\" y=\"%d\" width=\"%d\" height=\"%d\" fill=\"none\" stroke=\"#555\"/>\n", LEFT, TOP, RIGHT - LEFT, BOTTOM - TOP);
    if (empty) add(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"middle\">no values</text>\n", (LEFT + RIGHT) / 2, (TOP + BOTTOM) / 2);
    qn__text_add_string(out, "</svg>\n");
}

/* Marker of a style at a point. */
static void marker(qn__text *out, size_t k, double x, double y) {
    const char *colour = colours[k % COLOURS];
    switch (k % 4) {
    case 0: add(out, "<circle cx=\"%.2f\" cy=\"%.2f\" r=\"4\" fill=\"%s\"/>\n", x, y, colour); break;
    case 1: add(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"7\" height=\"7\" fill=\"%s\"/>\n", x - 3.5, y - 3.5, colour); break;
    case 2: add(out, "<path d=\"M%.2f %.2fl4.5 8h-9z\" fill=\"%s\"/>\n", x, y - 5, colour); break;
    case 3: add(out, "<path d=\"M%.2f %.2fl5 5l-5 5l-5-5z\" fill=\"%s\"/>\n", x, y - 5, colour); break;
    }
}

static size_t style_of(const cli_plot *plot, size_t k) { return plot->series[k].style ? plot->series[k].style - 1 : k; }

static const char *dashes(const cli_series *s) { return s->dashed ? " stroke-dasharray=\"6 4\"" : ""; }

static void legend(qn__text *out, const cli_plot *plot, bool bars) {
    for (size_t k = 0; k < plot->series_count; k++) {
        const double y = TOP + 10 + 22.0 * (double)k;
        const char *colour = colours[style_of(plot, k) % COLOURS];
        if (bars) add(out, "<rect x=\"%d\" y=\"%.2f\" width=\"14\" height=\"12\" fill=\"%s\"/>\n", RIGHT + 20, y - 6, colour);
        else {
            add(out, "<line x1=\"%d\" y1=\"%.2f\" x2=\"%d\" y2=\"%.2f\" stroke=\"%s\" stroke-width=\"2\"%s/>\n", RIGHT + 14, y, RIGHT + 40, y,
                colour, dashes(&plot->series[k]));
            marker(out, style_of(plot, k), RIGHT + 27, y);
        }
        add(out, "<text x=\"%d\" y=\"%.2f\">", RIGHT + (bars ? 42 : 48), y + 4);
        add_escaped(out, plot->series[k].name, LEGEND_CUT);
        qn__text_add_string(out, "</text>\n");
    }
}

/* ---- lines ---- */
static bool point_usable(const cli_plot *plot, const cli_series *s, size_t i) { return usable(s->x[i], plot->log_x) && usable(s->y[i], plot->log_y); }

static void draw_line(qn__text *out, const cli_plot *plot, size_t k, const axis *x, const axis *y) {
    const cli_series *s = &plot->series[k];
    bool open = false;
    for (size_t i = 0; i <= s->count; i++) {
        const bool good = i < s->count && point_usable(plot, s, i);
        if (good && !open)
            add(out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" stroke-linejoin=\"round\"%s points=\"", colours[style_of(plot, k) % COLOURS], dashes(s));
        if (good) add(out, "%.2f,%.2f ", place(x, s->x[i]), place(y, s->y[i]));
        if (!good && open) qn__text_add_string(out, "\"/>\n");
        open = good;
    }
    for (size_t i = 0; i < s->count; i++)
        if (point_usable(plot, s, i)) marker(out, style_of(plot, k), place(x, s->x[i]), place(y, s->y[i]));
}

static void draw_mark(qn__text *out, const cli_mark *mark, size_t k, const axis *x) {
    const double at = place(x, mark->x);
    const bool left = at > 0.6 * (double)RIGHT + 0.4 * (double)LEFT; /* the text stands where there is room */
    add(out, "<line x1=\"%.2f\" y1=\"%d\" x2=\"%.2f\" y2=\"%d\" stroke=\"#555\" stroke-dasharray=\"2 3\"/>\n", at, TOP, at, BOTTOM);
    add(out, "<text x=\"%.2f\" y=\"%.2f\" text-anchor=\"%s\" font-size=\"11\" stroke=\"#fff\" stroke-width=\"3\" paint-order=\"stroke\">", left ? at - 5 : at + 5,
        BOTTOM - 10 - 15.0 * (double)k, left ? "end" : "start");
    add_escaped(out, mark->text, TITLE_CUT);
    qn__text_add_string(out, "</text>\n");
}

void cli_svg_lines(qn__text *out, const cli_plot *plot) {
    double low_x = INFINITY, high_x = -INFINITY, low_y = INFINITY, high_y = -INFINITY;
    for (size_t k = 0; k < plot->series_count; k++) {
        const cli_series *s = &plot->series[k];
        for (size_t i = 0; i < s->count; i++) {
            if (!point_usable(plot, s, i)) continue;
            low_x = fmin(low_x, s->x[i]), high_x = fmax(high_x, s->x[i]);
            low_y = fmin(low_y, s->y[i]), high_y = fmax(high_y, s->y[i]);
        }
    }
    const bool empty = low_x > high_x;
    const axis x = make_axis(low_x, high_x, plot->log_x, LEFT, RIGHT), y = make_axis(low_y, high_y, plot->log_y, BOTTOM, TOP);
    begin(out, plot);
    draw_axis(out, &x, false);
    draw_axis(out, &y, true);
    for (size_t k = 0; k < plot->series_count; k++) draw_line(out, plot, k, &x, &y);
    for (size_t k = 0; k < plot->mark_count; k++)
        if (!empty && usable(plot->marks[k].x, plot->log_x)) draw_mark(out, &plot->marks[k], k, &x);
    legend(out, plot, false);
    end(out, empty);
}

/* ---- bars ---- */
static void draw_bar(qn__text *out, const cli_plot *plot, size_t k, size_t group, size_t group_count, const axis *y) {
    const double value = plot->series[k].y[group], slot = (double)(RIGHT - LEFT) / (double)group_count;
    const double width = 0.7 * slot / (double)plot->series_count;
    const double left = (double)LEFT + slot * ((double)group + 0.15) + width * (double)k;
    if (!isfinite(value)) return;
    if (!usable(value, plot->log_y)) { /* 0 has no place on a logarithmic axis */
        add(out, "<text x=\"%.2f\" y=\"%d\" text-anchor=\"middle\" font-size=\"11\">0</text>\n", left + width / 2, BOTTOM - 5);
        return;
    }
    const double top = place(y, value), base = plot->log_y ? (double)BOTTOM : place(y, 0);
    add(out, "<rect x=\"%.2f\" y=\"%.2f\" width=\"%.2f\" height=\"%.2f\" fill=\"%s\"/>\n", left, fmin(top, base), width * 0.92, fabs(base - top),
        colours[style_of(plot, k) % COLOURS]);
    add(out, "<text x=\"%.2f\" y=\"%.2f\" text-anchor=\"middle\" font-size=\"11\">%.2g</text>\n", left + width * 0.46, fmin(top, base) - 5, value);
}

void cli_svg_bars(qn__text *out, const cli_plot *plot) {
    double low = INFINITY, high = -INFINITY;
    const size_t groups = plot->series_count ? plot->series[0].count : 0;
    for (size_t k = 0; k < plot->series_count; k++)
        for (size_t i = 0; i < groups; i++) {
            const double v = plot->series[k].y[i];
            if (usable(v, plot->log_y)) low = fmin(low, v), high = fmax(high, v);
        }
    const bool empty = low > high;
    if (!plot->log_y && !empty) low = fmin(low, 0), high = fmax(high, 0);
    if (plot->log_y && !empty) low /= 2; /* the smallest bar can be seen, too */
    const axis y = make_axis(low, high, plot->log_y, BOTTOM, TOP);
    begin(out, plot);
    draw_axis(out, &y, true);
    for (size_t i = 0; i < groups; i++) {
        add(out, "<text x=\"%.2f\" y=\"%d\" text-anchor=\"middle\" font-size=\"13\">", (double)LEFT + (double)(RIGHT - LEFT) * ((double)i + 0.5) / (double)groups, BOTTOM + 20);
        add_escaped(out, plot->groups[i], LEGEND_CUT);
        qn__text_add_string(out, "</text>\n");
        for (size_t k = 0; k < plot->series_count; k++) draw_bar(out, plot, k, i, groups, &y);
    }
    legend(out, plot, true);
    end(out, empty);
}
