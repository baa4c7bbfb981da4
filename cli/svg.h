/* Plots as SVG text: lines and bars, linear or logarithmic axes, legend, marks. No dependency, no script, no font but the viewer's sans-serif. */
#ifndef QUERN_CLI_SVG_H
#define QUERN_CLI_SVG_H

#include "ir/text.h"

typedef struct cli_series {
    const char *name;
    const double *x, *y; /* x is not used by bars. What is not finite, or not positive on a logarithmic axis, is left out: a gap in a line */
    size_t count;
    uint32_t style; /* colour and marker, from 1; 0: by its place among the series */
    bool dashed;
} cli_series;

/* A vertical line with a text beside it. */
typedef struct cli_mark { double x; const char *text; } cli_mark;

typedef struct cli_plot {
    const char *title, *x_label, *y_label; /* UTF-8; NULL: none */
    bool log_x, log_y;
    const cli_series *series;
    size_t series_count;
    const cli_mark *marks; /* of lines */
    size_t mark_count;
    const char *const *groups; /* of bars: the name of each group, as many as a series has values */
} cli_plot;

/* Append a whole document. A plot without any point has axes and says so. */
void cli_svg_lines(qn__text *out, const cli_plot *plot);
void cli_svg_bars(qn__text *out, const cli_plot *plot);

#endif
