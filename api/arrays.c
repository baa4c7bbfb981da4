/* Arrays that the library owns: on the host, in pinned memory, on a device; and copies between them. */
#include "api/internal.h"
#include "runtime/call_private.h"

#include <stdlib.h>
#include <string.h>

static qn_array *array_new(qn_context *context, DLDevice device, qn_type type, size_t rank, const int64_t *shape) {
    qn_array *array = calloc(1, sizeof *array);
    if (!array) return NULL;
    array->context = context;
    array->tensor = (DLTensor){.device = device, .ndim = (int32_t)rank, .dtype = qn_type_to_dlpack(type),
                               .shape = array->shape, .strides = array->strides};
    int64_t stride = 1;
    for (size_t d = rank; d-- > 0;) {
        array->shape[d] = shape[d];
        array->strides[d] = stride;
        stride *= shape[d] > 0 ? shape[d] : 1;
    }
    qn__context_retain(context);
    return array;
}

static qn_status bytes_of(qn_type type, size_t rank, const int64_t *shape, size_t *bytes, qn_error *error) {
    if (!qn_type_name(type)) return qn__error(error, QN_USAGE, "qn_array_create: %d is no type", (int)type);
    if (rank > QN_MAX_RANK) return qn__error(error, QN_USAGE, "qn_array_create: rank %zu is above %d", rank, QN_MAX_RANK);
    *bytes = qn_type_bytes(type);
    for (size_t d = 0; d < rank; d++) {
        if (shape[d] < 0) return qn__error(error, QN_USAGE, "qn_array_create: dimension %zu is negative", d);
        if (__builtin_mul_overflow(*bytes, (size_t)shape[d], bytes))
            return qn__error(error, QN_RESOURCE, "qn_array_create: the size overflows");
    }
    if (*bytes == 0) *bytes = 1;
    return QN_OK;
}

/* Memory for the array's data, not cleared. */
static qn_status give_data(qn_array *a, size_t bytes, qn_error *error) {
    qn_context *context = a->context;
    qn__cuda_error failed = {0};
    const DLDeviceType where = a->tensor.device.device_type;
    a->bytes = bytes;
    if (where == kDLCPU) {
        a->tensor.data = context->allocator.alloc(context->allocator.user, bytes, QN__ALIGNMENT);
        return a->tensor.data ? QN_OK : qn__error(error, QN_RESOURCE, "out of memory: an array of %zu bytes", bytes);
    }
    const uint32_t index = where == kDLCUDA ? (uint32_t)a->tensor.device.device_id : context->options.device;
    const qn_status status = qn__context_device(context, index, &a->device, error);
    if (status != QN_OK) return status;
    if (where == kDLCUDA) a->tensor.data = (void *)(uintptr_t)qn__cuda_allocate(a->device, bytes, &failed);
    else a->tensor.data = qn__cuda_allocate_pinned(a->device, bytes, &failed);
    return a->tensor.data ? QN_OK : qn__cuda_error_record(&failed, error);
}

static qn_status array_on(qn_context *context, DLDevice device, qn_type type, size_t rank, const int64_t *shape, qn_array **array, qn_error *error) {
    size_t bytes = 0;
    if (device.device_type != kDLCPU && device.device_type != kDLCUDA && device.device_type != kDLCUDAHost)
        return qn__error(error, QN_USAGE, "arrays can lie on the host (kDLCPU, kDLCUDAHost) or on a CUDA device (kDLCUDA)");
    if (device.device_type == kDLCUDA && device.device_id < 0) return qn__error(error, QN_USAGE, "there is no CUDA device %d", device.device_id);
    if (device.device_type != kDLCUDA) device.device_id = 0;
    qn_status status = bytes_of(type, rank, shape, &bytes, error);
    if (status != QN_OK) return status;
    qn_array *a = array_new(context, device, type, rank, shape);
    if (!a) return qn__error(error, QN_RESOURCE, "out of memory: an array of %zu bytes", bytes);
    status = give_data(a, bytes, error);
    if (status == QN_OK) *array = a;
    else qn_array_destroy(a);
    return status;
}

qn_status qn_array_create_on(qn_context *context, DLDevice device, qn_type type, size_t rank, const int64_t *shape, qn_array **array,
                             qn_error *error) {
    if (!context || !array || (rank > 0 && !shape)) return qn__error(error, QN_USAGE, "qn_array_create: an argument is NULL");
    *array = NULL;
    qn_array *a;
    qn__cuda_error failed = {0};
    const qn_status status = array_on(context, device, type, rank, shape, &a, error);
    if (status != QN_OK) return status;
    if (device.device_type != kDLCUDA) {
        memset(a->tensor.data, 0, a->bytes);
    } else if (!qn__cuda_zero(a->device, (uint64_t)(uintptr_t)a->tensor.data, a->bytes, &failed)) {
        qn_array_destroy(a);
        return qn__cuda_error_record(&failed, error);
    }
    *array = a;
    return qn__no_error(error);
}

qn_status qn_array_create(qn_context *context, qn_type type, size_t rank, const int64_t *shape, qn_array **array,
                          qn_error *error) {
    return qn_array_create_on(context, (DLDevice){kDLCPU, 0}, type, rank, shape, array, error);
}

qn_array *qn__array_adopt(qn_context *context, qn__argument *argument, qn__cuda_device *device) {
    const bool there = argument->where == QN__WHERE_DEVICE;
    const DLDevice place = {there ? kDLCUDA : kDLCPU, there ? (int)qn__cuda_ordinal(device) : 0};
    qn_array *array = array_new(context, place, (qn_type)argument->type, argument->rank, argument->extent);
    if (!array) return NULL;
    array->device = there ? device : NULL;
    array->tensor.data = argument->data;
    array->bytes = argument->bytes;
    argument->data = NULL;
    argument->allocated = false;
    return array;
}

void qn__argument_drop(const qn_context *context, qn__argument *argument, qn__cuda_device *device) {
    if (argument->where != QN__WHERE_DEVICE) {
        qn__argument_free(argument, &context->allocator);
        return;
    }
    if (argument->allocated) qn__cuda_release(device, (uint64_t)(uintptr_t)argument->data, argument->bytes);
    argument->data = NULL;
    argument->allocated = false;
}

void qn_array_destroy(qn_array *array) {
    if (!array) return;
    qn_context *context = array->context;
    void *data = array->tensor.data;
    if (data && array->tensor.device.device_type == kDLCUDA) qn__cuda_release(array->device, (uint64_t)(uintptr_t)data, array->bytes);
    else if (data && array->device) qn__cuda_release_pinned(array->device, data);
    else if (data) context->allocator.free(context->allocator.user, data, array->bytes);
    free(array);
    qn__context_release(context);
}

const DLTensor *qn_array_tensor(const qn_array *array) { return array ? &array->tensor : NULL; }

/* ---- copies ---- */

/* A tensor as bytes: where it lies, extents, strides in bytes. */
typedef struct source {
    char *data;
    qn_type type;
    uint32_t rank, bytes;
    int64_t extents[QN_MAX_RANK], strides[QN_MAX_RANK];
    bool empty, dense;
    qn__cuda_device *device; /* NULL: the host's memory */
} source;

static qn_status look_at(qn_context *context, const DLTensor *t, source *s, qn_error *error) {
    memset(s, 0, sizeof *s);
    s->type = qn_type_from_dlpack(t->dtype);
    if (!s->type) return qn__error(error, QN_USAGE, "qn_array_from: the tensor has a type that Quern does not know");
    if (t->ndim < 0 || t->ndim > QN_MAX_RANK || (t->ndim > 0 && !t->shape)) return qn__error(error, QN_USAGE, "qn_array_from: rank %d", t->ndim);
    s->rank = (uint32_t)t->ndim;
    s->bytes = (uint32_t)qn_type_bytes(s->type);
    int64_t stride = s->bytes;
    s->dense = true;
    for (uint32_t d = s->rank; d-- > 0;) {
        s->extents[d] = t->shape[d];
        if (t->shape[d] < 0 || (t->strides && __builtin_mul_overflow(t->strides[d], (int64_t)s->bytes, &s->strides[d])))
            return qn__error(error, QN_USAGE, "qn_array_from: dimension %u has a bad extent or stride", d);
        if (!t->strides) s->strides[d] = stride;
        s->dense = s->dense && (t->shape[d] == 1 || s->strides[d] == stride);
        s->empty = s->empty || t->shape[d] == 0;
        if (__builtin_mul_overflow(stride, t->shape[d] ? t->shape[d] : 1, &stride)) return qn__error(error, QN_USAGE, "qn_array_from: the size overflows");
    }
    s->data = t->data ? (char *)t->data + t->byte_offset : NULL;
    if (!s->data && !s->empty) return qn__error(error, QN_USAGE, "qn_array_from: the tensor has no data");
    switch (t->device.device_type) {
    case kDLCPU:
    case kDLCUDAHost:
    case kDLCUDAManaged: return QN_OK; /* managed memory is the host's, too */
    case kDLCUDA:
        if (t->device.device_id < 0) return qn__error(error, QN_USAGE, "there is no CUDA device %d", t->device.device_id);
        return qn__context_device(context, (uint32_t)t->device.device_id, &s->device, error);
    default: return qn__error(error, QN_USAGE, "qn_array_from: the tensor lies on a device that Quern does not know");
    }
}

/* Elements of the host, packed, to the array. */
static qn_status from_host(const source *s, qn_array *a, qn_error *error) {
    qn__cuda_error failed = {0};
    int64_t to[QN_MAX_RANK];
    for (uint32_t d = 0; d < s->rank; d++) to[d] = a->strides[d] * (int64_t)s->bytes;
    if (a->tensor.device.device_type != kDLCUDA) {
        qn__copy_strided(s->rank, s->extents, s->bytes, a->tensor.data, to, s->data, s->strides);
        return QN_OK;
    }
    const void *data = s->data;
    void *packed = NULL;
    if (!s->dense) {
        packed = malloc(a->bytes);
        if (!packed) return qn__error(error, QN_RESOURCE, "out of memory: a copy of %zu bytes", a->bytes);
        qn__copy_strided(s->rank, s->extents, s->bytes, packed, to, s->data, s->strides);
        data = packed;
    }
    const bool ok = qn__cuda_upload(a->device, (uint64_t)(uintptr_t)a->tensor.data, data, a->bytes, &failed);
    free(packed);
    return ok ? QN_OK : qn__cuda_error_record(&failed, error);
}

/* Elements of a device to an array on the same one. */
static qn_status within(const source *s, qn_array *a, qn_error *error) {
    qn__cuda_error failed = {0};
    int64_t to[QN_MAX_RANK];
    for (uint32_t d = 0; d < s->rank; d++) to[d] = a->strides[d] * (int64_t)s->bytes;
    return qn__cuda_copy_strided(s->device, s->rank, s->extents, s->bytes, (uint64_t)(uintptr_t)a->tensor.data, to, (uint64_t)(uintptr_t)s->data, s->strides,
                                 &failed)
               ? QN_OK
               : qn__cuda_error_record(&failed, error);
}

static qn_status fill(qn_context *context, const source *s, qn_array *a, qn_error *error) {
    qn__cuda_error failed = {0};
    if (!s->device) return from_host(s, a, error);
    if (s->device == a->device && a->tensor.device.device_type == kDLCUDA) return within(s, a, error);
    if (s->dense && a->tensor.device.device_type != kDLCUDA)
        return qn__cuda_download(s->device, a->tensor.data, (uint64_t)(uintptr_t)s->data, a->bytes, &failed) ? QN_OK : qn__cuda_error_record(&failed, error);
    /* Packed where it lies, then through the host. */
    qn_array *packed = NULL, *host = NULL;
    const DLDevice there = {kDLCUDA, (int)qn__cuda_ordinal(s->device)};
    qn_status status = array_on(context, there, s->type, s->rank, s->extents, &packed, error);
    if (status == QN_OK) status = within(s, packed, error);
    if (status == QN_OK && a->tensor.device.device_type != kDLCUDA) {
        if (!qn__cuda_download(s->device, a->tensor.data, (uint64_t)(uintptr_t)packed->tensor.data, a->bytes, &failed)) status = qn__cuda_error_record(&failed, error);
    } else if (status == QN_OK) {
        status = qn_array_from(context, &packed->tensor, (DLDevice){kDLCPU, 0}, &host, error);
        if (status == QN_OK && !qn__cuda_upload(a->device, (uint64_t)(uintptr_t)a->tensor.data, host->tensor.data, a->bytes, &failed)) status = qn__cuda_error_record(&failed, error);
    }
    qn_array_destroy(packed);
    qn_array_destroy(host);
    return status;
}

qn_status qn_array_from(qn_context *context, const DLTensor *tensor, DLDevice device, qn_array **array, qn_error *error) {
    if (!context || !tensor || !array) return qn__error(error, QN_USAGE, "qn_array_from: an argument is NULL");
    *array = NULL;
    source s;
    qn_array *a;
    qn_status status = look_at(context, tensor, &s, error);
    if (status == QN_OK) status = array_on(context, device, s.type, s.rank, s.extents, &a, error);
    if (status != QN_OK) return status;
    if (!s.empty) status = fill(context, &s, a, error);
    if (status != QN_OK) {
        qn_array_destroy(a);
        return status;
    }
    *array = a;
    return qn__no_error(error);
}

qn_status qn_array_to(const qn_array *array, DLDevice device, qn_array **copy, qn_error *error) {
    if (!array) return qn__error(error, QN_USAGE, "qn_array_to: array is NULL");
    return qn_array_from(array->context, &array->tensor, device, copy, error);
}
