/* Debug information. For profilers (lines): a subprogram for the kernel and lines from the IR's locations, in code that is made as ever.
 * For debuggers (debug): a subprogram for the kernel, a lexical block for each stage, lines from the IR's locations, variables from its names.
 *
 * A variable lives in memory of its own that is stored to wherever it takes a value, so that a debugger sees it until the end of its scope. That is slow, and meant so:
 * this code is for looking at. Variables require width 1. */
#include "compiler/llvm/internal.h"

#include <llvm-c/DebugInfo.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { DW_ATE_BOOLEAN = 2, DW_ATE_FLOAT = 4, DW_ATE_SIGNED = 5, DW_ATE_UNSIGNED = 7, PATH = 4096 };

typedef struct storage { const char *name; LLVMMetadataRef scope; qn__type type; LLVMValueRef memory; } storage;

struct qn__debug {
    LLVMDIBuilderRef builder;
    LLVMMetadataRef file, unit, subprogram, scope, location;
    const char *path;          /* of file */
    uint32_t *first;           /* by value: number plus 1 of its first entry in the table of names */
    uint32_t *next;            /* by entry */
    storage *variables;
    uint32_t variable_count;
    LLVMMetadataRef types[QN__TYPE_COUNT];
};

static LLVMMetadataRef make_file(LLVMDIBuilderRef builder, const char *path) {
    char folder[PATH];
    if (path[0] == '/' || !getcwd(folder, sizeof folder)) folder[0] = 0;
    return LLVMDIBuilderCreateFile(builder, path, strlen(path), folder, strlen(folder));
}

static const qn__location *first_place(const qn__ir *ir) {
    for (uint32_t i = 1; i < ir->location_count; i++)
        if (ir->locations[i].line) return &ir->locations[i];
    return &ir->locations[0];
}

static bool index_names(qn__emitter *e, struct qn__debug *d) {
    const qn__ir *ir = e->ir;
    d->first = QN__ARENA_ARRAY(e->arena, uint32_t, (size_t)ir->value_count + 1);
    d->next = QN__ARENA_ARRAY(e->arena, uint32_t, (size_t)ir->named_count + 1);
    d->variables = QN__ARENA_ARRAY(e->arena, storage, (size_t)ir->named_count + 1);
    if (!d->first || !d->next || !d->variables) return false;
    for (uint32_t i = ir->named_count; i-- > 0;) {
        d->next[i] = d->first[ir->named[i].value];
        d->first[ir->named[i].value] = i + 1;
    }
    return true;
}

/* LLVM's DebugDirectivesOnly, which its C interface passes on but does not name: .loc lines without tables, which would make ptxas switch optimisations off. */
static const LLVMDWARFEmissionKind DIRECTIVES_ONLY = (LLVMDWARFEmissionKind)3;

/* The unit, once for the module. */
static bool begin_unit(qn__emitter *e) {
    const bool full = e->options->debug;
    struct qn__debug *d = QN__ARENA_NEW(e->arena, struct qn__debug);
    if (!d || (full && !index_names(e, d))) return qn__fail(e, "out of memory");
    const qn__location *place = first_place(e->ir);
    d->builder = LLVMCreateDIBuilder(e->module);
    d->path = place->path;
    d->file = make_file(d->builder, place->path);
    static const char producer[] = "quern";
    d->unit = LLVMDIBuilderCreateCompileUnit(d->builder, LLVMDWARFSourceLanguageC99, d->file, producer, sizeof producer - 1, !full, "", 0, 0, "", 0,
                                             full ? LLVMDWARFEmissionFull : e->gpu ? DIRECTIVES_ONLY : LLVMDWARFEmissionLineTablesOnly, 0, false, false, "", 0, "", 0);
    LLVMAddModuleFlag(e->module, LLVMModuleFlagBehaviorWarning, "Debug Info Version", 18,
                      LLVMValueAsMetadata(l_i32(e, (uint32_t)LLVMDebugMetadataVersion())));
    LLVMAddModuleFlag(e->module, LLVMModuleFlagBehaviorWarning, "Dwarf Version", 13, LLVMValueAsMetadata(l_i32(e, full ? 4 : 5))); /* 5: the line table alone names the folder that paths are relative to */
    e->debug = d;
    return true;
}

bool qn__debug_begin(qn__emitter *e, const char *symbol) {
    const bool full = e->options->debug;
    if (!full && !e->options->lines) return true;
    if (!e->debug && !begin_unit(e)) return false;
    struct qn__debug *d = e->debug;
    const qn__location *place = first_place(e->ir);
    LLVMMetadataRef type = LLVMDIBuilderCreateSubroutineType(d->builder, d->file, NULL, 0, LLVMDIFlagZero);
    d->subprogram = LLVMDIBuilderCreateFunction(d->builder, d->file, e->ir->name, strlen(e->ir->name), symbol, strlen(symbol), d->file, place->line, type, false,
                                                true, place->line, LLVMDIFlagZero, !full);
    LLVMSetSubprogram(e->function, d->subprogram);
    d->scope = d->subprogram;
    d->location = LLVMDIBuilderCreateDebugLocation(e->context, place->line, 0, d->scope, NULL);
    LLVMSetCurrentDebugLocation2(e->builder, d->location);
    return true;
}

/* The scope that a place belongs to: code of imported and library functions keeps its own file. */
static LLVMMetadataRef scope_for(struct qn__debug *d, const char *path) {
    if (strcmp(path, d->path) == 0) return d->scope;
    return LLVMDIBuilderCreateLexicalBlockFile(d->builder, d->scope, make_file(d->builder, path), 0);
}

static void go_to(qn__emitter *e, uint32_t location) {
    struct qn__debug *d = e->debug;
    const qn__location *place = &e->ir->locations[location];
    if (!location || !place->line) return;
    d->location = LLVMDIBuilderCreateDebugLocation(e->context, place->line, place->column, scope_for(d, place->path), NULL);
    LLVMSetCurrentDebugLocation2(e->builder, d->location);
}

void qn__debug_place(qn__emitter *e, uint32_t location) {
    if (e->debug) go_to(e, location);
}

void qn__debug_at(qn__emitter *e, const qn__instr *instr) { qn__debug_place(e, instr->location); }

void *qn__debug_enter(qn__emitter *e, const qn__instr *stage) {
    struct qn__debug *d = e->debug;
    if (!d) return NULL;
    LLVMMetadataRef outer = d->scope;
    const qn__location *place = &e->ir->locations[stage->location];
    d->scope = LLVMDIBuilderCreateLexicalBlock(d->builder, outer, d->file, place->line, place->column);
    go_to(e, stage->location);
    return outer;
}

void *qn__debug_function(qn__emitter *e, const qn__instr *stage, LLVMValueRef function, const char *symbol) {
    struct qn__debug *d = e->debug;
    if (!d) return NULL;
    LLVMMetadataRef outer = d->scope;
    const uint32_t line = e->ir->locations[stage->location].line;
    LLVMMetadataRef type = LLVMDIBuilderCreateSubroutineType(d->builder, d->file, NULL, 0, LLVMDIFlagZero);
    d->scope = LLVMDIBuilderCreateFunction(d->builder, d->file, e->ir->name, strlen(e->ir->name), symbol, strlen(symbol), d->file, line, type, true, true, line,
                                           LLVMDIFlagZero, true);
    LLVMSetSubprogram(function, d->scope);
    d->location = LLVMDIBuilderCreateDebugLocation(e->context, line, 0, d->scope, NULL);
    LLVMSetCurrentDebugLocation2(e->builder, d->location);
    return outer;
}

void qn__debug_leave(qn__emitter *e, void *scope) {
    struct qn__debug *d = e->debug;
    if (!d) return;
    d->scope = scope;
    d->location = LLVMDIBuilderCreateDebugLocation(e->context, LLVMDILocationGetLine(d->location), 0, scope, NULL);
    LLVMSetCurrentDebugLocation2(e->builder, d->location);
}

static LLVMMetadataRef type_of(struct qn__debug *d, qn__type type) {
    if (d->types[type]) return d->types[type];
    unsigned encoding = DW_ATE_UNSIGNED;
    if (type == QN__TYPE_BOOL) encoding = DW_ATE_BOOLEAN;
    else if (qn__is_signed(type)) encoding = DW_ATE_SIGNED;
    else if (type == QN__TYPE_F32 || type == QN__TYPE_F64) encoding = DW_ATE_FLOAT;
    const char *name = qn__type_table[type].name;
    d->types[type] = LLVMDIBuilderCreateBasicType(d->builder, name, strlen(name), qn__type_bits(type), encoding, LLVMDIFlagZero);
    return d->types[type];
}

static LLVMValueRef storage_of(qn__emitter *e, const qn__named *n, qn__type type) {
    struct qn__debug *d = e->debug;
    for (uint32_t i = 0; i < d->variable_count; i++)
        if (d->variables[i].scope == d->scope && d->variables[i].type == type && strcmp(d->variables[i].name, n->name) == 0) return d->variables[i].memory;
    LLVMValueRef memory = l_alloca(e, l_memory_type(e, type));
    const uint32_t line = e->ir->locations[n->location].line;
    LLVMMetadataRef variable = LLVMDIBuilderCreateAutoVariable(d->builder, d->scope, n->name, strlen(n->name), d->file, line, type_of(d, type), true, LLVMDIFlagZero, 0);
    LLVMMetadataRef where = LLVMDIBuilderCreateDebugLocation(e->context, line, 0, d->scope, NULL);
    LLVMDIBuilderInsertDeclareRecordAtEnd(d->builder, memory, variable, LLVMDIBuilderCreateExpression(d->builder, NULL, 0), where, LLVMGetInsertBlock(e->head));
    d->variables[d->variable_count++] = (storage){n->name, d->scope, type, memory};
    return memory;
}

void qn__debug_value(qn__emitter *e, qn__value v, LLVMValueRef value) {
    struct qn__debug *d = e->debug;
    if (!d || !e->options->debug || l_is_vector(value)) return;
    const qn__type type = qn__type_of(e->ir, v);
    for (uint32_t i = d->first[v]; i; i = d->next[i - 1])
        l_store(e, l_to_memory(e, type, value), storage_of(e, &e->ir->named[i - 1], type));
}

void qn__debug_function_end(qn__emitter *e) {
    if (e->debug) LLVMSetCurrentDebugLocation2(e->builder, NULL);
}

void qn__debug_end(qn__emitter *e) {
    if (!e->debug) return;
    qn__debug_function_end(e);
    LLVMDIBuilderFinalize(e->debug->builder);
    LLVMDisposeDIBuilder(e->debug->builder);
    e->debug = NULL;
}
