/* Applies a kernel `name(image: u8[h, w]) -> u8[h, w]` to a PNG file, which is read as grey.
 *
 *     image_filter FILE.qn IN.png OUT.png
 *     image_filter --test FILE.qn OUT.png     makes a picture of its own, and checks what Sobel's filter finds in it */
#include <png.h>
#include <quern/quern.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct picture { unsigned char *pixels; int64_t shape[2]; } picture; /* shape: height, width */

static bool read_png(const char *path, picture *out) {
    png_image image = {.version = PNG_IMAGE_VERSION};
    if (!png_image_begin_read_from_file(&image, path)) {
        fprintf(stderr, "%s: %s\n", path, image.message);
        return false;
    }
    image.format = PNG_FORMAT_GRAY;
    out->shape[0] = image.height;
    out->shape[1] = image.width;
    out->pixels = malloc(PNG_IMAGE_SIZE(image));
    if (out->pixels && png_image_finish_read(&image, NULL, out->pixels, 0, NULL)) return true;
    fprintf(stderr, "%s: %s\n", path, out->pixels ? image.message : "out of memory");
    png_image_free(&image);
    return false;
}

static bool write_png(const char *path, const DLTensor *tensor) {
    png_image image = {.version = PNG_IMAGE_VERSION, .format = PNG_FORMAT_GRAY, .height = (png_uint_32)tensor->shape[0], .width = (png_uint_32)tensor->shape[1]};
    if (png_image_write_to_file(&image, path, 0, tensor->data, 0, NULL)) return true;
    fprintf(stderr, "%s: %s\n", path, image.message);
    return false;
}

/* The kernel works on the pixels where they are: a DLTensor only points to them. */
static qn_status apply(const char *source, const picture *in, qn_array **result, qn_error *error) {
    qn_context *context = NULL;
    qn_module *module = NULL;
    qn_kernel *kernel = NULL;
    int64_t shape[2] = {in->shape[0], in->shape[1]};
    const DLTensor image = {.data = in->pixels, .device = {kDLCPU, 0}, .ndim = 2, .dtype = qn_type_to_dlpack(QN_U8), .shape = shape};
    const DLTensor *inputs[] = {&image};
    qn_status status = qn_context_create(NULL, &context, error);
    if (status == QN_OK) status = qn_module_from_file(context, source, &module, error);
    if (status == QN_OK) status = qn_kernel_create(module, NULL, NULL, &kernel, error);
    if (status == QN_OK) status = qn_call(kernel, inputs, 1, result, 1, NULL, error);
    qn_kernel_destroy(kernel);
    qn_module_destroy(module);
    qn_context_destroy(context); /* the result keeps what it needs */
    return status;
}

/* A white square on black: edges are where it begins and ends, and nowhere else. */
static bool make_square(picture *out) {
    out->shape[0] = 48;
    out->shape[1] = 64;
    out->pixels = calloc(48, 64);
    for (int i = 12; out->pixels && i < 36; i++) memset(out->pixels + i * 64 + 16, 255, 32);
    return out->pixels != NULL;
}

static bool square_found(const char *path) {
    picture p = {0};
    if (!read_png(path, &p)) return false;
    const bool right = p.shape[0] == 48 && p.shape[1] == 64 && p.pixels[24 * 64 + 16] == 255 && p.pixels[24 * 64 + 32] == 0 && p.pixels[2 * 64 + 2] == 0 &&
                       p.pixels[12 * 64 + 32] == 255;
    free(p.pixels);
    printf("edges of the square: %s\n", right ? "found" : "NOT found");
    return right;
}

int main(int argc, char **argv) {
    if (argc != 4) {
        fprintf(stderr, "usage: image_filter FILE.qn IN.png OUT.png\n       image_filter --test FILE.qn OUT.png\n");
        return 2;
    }
    const bool test = strcmp(argv[1], "--test") == 0;
    picture in = {0};
    qn_array *result = NULL;
    qn_error error = {0};
    if (!(test ? make_square(&in) : read_png(argv[2], &in))) return 4;
    const qn_status status = apply(argv[test ? 2 : 1], &in, &result, &error);
    if (status != QN_OK) fprintf(stderr, "%s\n", error.message);
    bool ok = status == QN_OK && write_png(argv[3], qn_array_tensor(result));
    if (ok && test) ok = square_found(argv[3]);
    qn_array_destroy(result);
    free(in.pixels);
    return ok ? 0 : status != QN_OK ? (int)status : 4;
}
