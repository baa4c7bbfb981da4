/* The part of an image that is the same for every backend: what the runtime needs to know about arrays, host functions
 * and source locations. Strings and tables that do not change shape are shared with the IR's arena. */
#include "ir/image.h"

bool qn__image_from_ir(qn__image *image, const qn__ir *ir) {
    qn__image_array *arrays = QN__ARENA_ARRAY(ir->arena, qn__image_array, ir->array_count);
    if (!arrays || ir->failed) return false;
    for (uint32_t i = 0; i < ir->array_count; i++) {
        const qn__array *array = &ir->arrays[i];
        arrays[i] = (qn__image_array){array->type, array->rank, array->kind, array->name};
    }
    image->raw_symbol = image->externs_symbol = NULL;
    image->plan = NULL;
    image->signature = ir->signature;
    image->arrays = arrays;
    image->array_count = ir->array_count;
    image->externs = ir->externs;
    image->extern_count = ir->extern_count;
    image->locations = ir->locations;
    image->location_count = ir->location_count;
    return true;
}
