/* A program that knows nothing of Quern but the header that `quern build` wrote. */
#include "kernels.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

static int failures;

static void expect(int good, const char *what) {
    if (good) return;
    failures++;
    printf("FAILED: %s\n", what);
}

int main(void) {
    float x[37], y[37], z[37];
    qn_error error;
    for (int i = 0; i < 37; i++) {
        x[i] = (float)i;
        y[i] = 1.0F;
    }
    expect(qk_saxpy(2.5F, x, y, z, 37, &error) == 0 && z[36] == 91.0F, "saxpy");
    expect(qk_saxpy(2.5F, x, y, z, 0, NULL) == 0, "saxpy of nothing");

    const double values[5] = {3, 9, 1, 7, 2};
    double kept[5];
    int64_t position[5], m = 5;
    expect(qk_threshold(values, 2.5, kept, position, 5, &m, &error) == 0 && m == 3 && kept[2] == 7 && position[2] == 3, "threshold");
    m = 1;
    expect(qk_threshold(values, 2.5, kept, position, 5, &m, &error) == QN_FAULT && m == 3, "threshold with too little room");

    double in[33], out[33], total = 0;
    for (int i = 0; i < 33; i++) in[i] = i * 0.25;
    expect(qk_smooth(in, out, &total, 33, &error) == 0, "smooth");
    expect(fabs(out[1] - (exp(0.0) + exp(0.25) + exp(0.5)) / 3) < 1e-15 && total > 0, "smooth's values");

    const int32_t index[3] = {0, 2, 9};
    const float source[4] = {1, 2, 3, 4};
    float taken[3];
    memset(&error, 0, sizeof error);
    expect(qk_take(source, index, taken, 4, 3, &error) == QN_FAULT && error.index == 9 && error.extent == 4 && error.line > 0, "a fault with its place");
    printf("%d failed\n", failures);
    return failures != 0;
}
