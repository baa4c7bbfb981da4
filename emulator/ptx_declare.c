/* Declarations: registers (ranges too), variables with initialisers, parameters. */
#include "emulator/ptx_parse.h"

#include <string.h>

enum { MOST_REGISTERS = 1 << 20 };
#define MOST_BYTES ((uint64_t)1 << 30)

bool em_type_parse(em_parser *parser, em_type *type) {
    if (parser->token.kind != EM_TOKEN_DOT) return em_syntax(parser);
    for (int k = 1; k < EM_TYPE_COUNT; k++) {
        if (em_is_dot(parser, em_type_name((em_type)k))) {
            *type = (em_type)k;
            em_advance(parser);
            return true;
        }
    }
    return em_syntax(parser);
}

/* Grows the owner's table of registers. */
static bool add_registers(em_parser *parser, em_function *owner, em_type type, uint32_t width, uint32_t count, uint32_t *base) {
    if (count > MOST_REGISTERS || owner->register_count + (uint64_t)count * width > MOST_REGISTERS) {
        em_error(parser->module, parser->token.line, "Too many registers");
        return false;
    }
    uint32_t total = owner->register_count + count * width, held = 0;
    for (held = 64; held < owner->register_count; held *= 2) {}
    if (!owner->register_types || total > held) {
        uint32_t fresh = 64;
        while (fresh < total) fresh *= 2;
        uint8_t *types = em_arena_allocate(&parser->module->arena, fresh);
        if (!types) return false;
        if (owner->register_count) memcpy(types, owner->register_types, owner->register_count);
        owner->register_types = types;
    }
    *base = owner->register_count;
    memset(owner->register_types + owner->register_count, (int)type, count * width);
    owner->register_count = total;
    return true;
}

static bool add_register(em_parser *parser, em_function *owner, em_type type, uint32_t width, const em_token *name, int64_t count) {
    uint32_t base;
    if (count < 0 || count > MOST_REGISTERS) {
        em_error(parser->module, name->line, "Wrong number of registers");
        return false;
    }
    em_symbol *symbol;
    uint32_t taken;
    if (em_register_find(parser, name->text, name->length, &symbol, &taken) && symbol->scope == parser->scope_ids[parser->depth]) {
        em_error(parser->module, name->line, "Duplicate definition of variable '%.*s'", (int)(name->length < 200 ? name->length : 200), name->text);
        return false;
    }
    symbol = em_symbol_add(parser, name->text, name->length, EM_SYMBOL_REGISTER);
    if (!symbol || !add_registers(parser, owner, type, width, count ? (uint32_t)count : 1, &base)) return false;
    symbol->type = (uint8_t)type;
    symbol->width = (uint8_t)width;
    symbol->base = base;
    symbol->count = (uint32_t)count;
    return true;
}

static bool registers(em_parser *parser, em_type type, uint32_t width) {
    em_function *owner = parser->function;
    if (!owner) {
        em_error(parser->module, parser->token.line, "Register declarations at module level are not supported");
        return false;
    }
    do {
        em_token name = parser->token;
        int64_t count = 0;
        if (name.kind != EM_TOKEN_NAME) return em_syntax(parser);
        em_advance(parser);
        if (em_accept(parser, '<')) {
            if (parser->token.kind != EM_TOKEN_INTEGER || parser->token.value > MOST_REGISTERS) return em_syntax(parser);
            count = (int64_t)parser->token.value;
            if (!count) count = 1; /* %r<0> is allowed, for nothing */
            em_advance(parser);
            if (!em_expect(parser, '>')) return false;
            if (width > 1) {
                em_error(parser->module, name.line, "Ranges of vector registers are not supported");
                return false;
            }
        }
        if (!add_register(parser, owner, type, width, &name, count)) return false;
    } while (em_accept(parser, ','));
    return em_expect(parser, ';');
}

typedef struct initialiser { em_variable *variable; uint64_t at, element; em_type type; em_relocation *last; } initialiser;

static bool put_relocation(em_parser *parser, initialiser *place, const em_symbol *symbol, uint64_t addend, uint32_t shift) {
    em_relocation *relocation = em_arena_allocate(&parser->module->arena, sizeof *relocation);
    if (!relocation) return false;
    if (place->element != 8 && !(place->element == 1 && shift < 64)) {
        em_error(parser->module, parser->token.line, "Address of '%.200s' does not fit its element", symbol->name);
        return false;
    }
    *relocation = (em_relocation){.offset = place->at, .addend = addend, .bytes = (uint32_t)place->element, .shift = shift, .variable = symbol->variable,
        .function = symbol->function, .line = parser->token.line};
    if (place->last) place->last->next = relocation;
    else place->variable->relocations = relocation;
    place->last = relocation;
    return true;
}

/* name, generic(name), mask(name), each with + offset. */
static bool symbol_value(em_parser *parser, initialiser *place, uint32_t shift) {
    bool wrapped = em_is_name(parser, "generic") && parser->next.kind == EM_TOKEN_PUNCTUATION && parser->next.punctuation == '(';
    if (wrapped) em_advance(parser), em_advance(parser);
    const em_symbol *symbol = parser->token.kind == EM_TOKEN_NAME ? em_symbol_find(parser, parser->token.text, parser->token.length) : NULL;
    if (!symbol || (symbol->kind != EM_SYMBOL_VARIABLE && symbol->kind != EM_SYMBOL_FUNCTION)) {
        if (parser->token.kind != EM_TOKEN_NAME) return em_syntax(parser);
        em_error(parser->module, parser->token.line, "Unknown symbol '%.*s'", (int)(parser->token.length < 200 ? parser->token.length : 200), parser->token.text);
        return false;
    }
    if (symbol->kind == EM_SYMBOL_VARIABLE && symbol->variable->space != EM_SPACE_GLOBAL && symbol->variable->space != EM_SPACE_CONST) {
        em_error(parser->module, parser->token.line, "Address of '%.200s' is no constant", symbol->name);
        return false;
    }
    em_advance(parser);
    int64_t first = 0, second = 0;
    if (!wrapped && (em_is(parser, '+') || em_is(parser, '-')) && !em_constant_integer(parser, &first)) return false;
    if (wrapped && (em_is(parser, '+') || em_is(parser, '-')) && !em_constant_integer(parser, &first)) return false;
    if (wrapped && !em_expect(parser, ')')) return false;
    if (wrapped && (em_is(parser, '+') || em_is(parser, '-')) && !em_constant_integer(parser, &second)) return false;
    return put_relocation(parser, place, symbol, (uint64_t)first + (uint64_t)second, shift);
}

static bool put_number(em_parser *parser, initialiser *place, const em_operand *value) {
    uint64_t bits = (uint64_t)value->value;
    bool real = em_type_class(place->type) == EM_CLASS_FLOAT;
    bool fits = value->kind == EM_OPERAND_INTEGER ? !real || em_type_bits(place->type) < 32 : real || em_type_class(place->type) == EM_CLASS_BITS;
    if (!fits) {
        em_error(parser->module, parser->token.line, "Initial value type mismatch");
        return false;
    }
    if (place->type == EM_F32 && value->kind == EM_OPERAND_FLOAT) {
        double wide;
        memcpy(&wide, &bits, sizeof wide);
        float narrow = (float)wide;
        uint32_t low;
        memcpy(&low, &narrow, sizeof low);
        bits = low;
    } else if (place->type == EM_F64 && value->kind == EM_OPERAND_FLOAT32) {
        uint32_t low = (uint32_t)bits;
        float narrow;
        memcpy(&narrow, &low, sizeof narrow);
        double wide = (double)narrow;
        memcpy(&bits, &wide, sizeof bits);
    }
    if (!place->variable->data) {
        place->variable->data = em_arena_allocate(&parser->module->arena, place->variable->size ? place->variable->size : 1);
        if (!place->variable->data) return false;
    }
    memcpy(place->variable->data + place->at, &bits, place->element);
    return true;
}

static bool element_value(em_parser *parser, initialiser *place) {
    if (place->at + place->element > place->variable->size) {
        em_error(parser->module, parser->token.line, "Too many initial values for '%.200s'", place->variable->name);
        return false;
    }
    if (parser->token.kind == EM_TOKEN_NAME && !em_is_name(parser, "WARP_SZ")) {
        if (!symbol_value(parser, place, 64)) return false;
    } else if (parser->token.kind == EM_TOKEN_INTEGER && parser->next.kind == EM_TOKEN_PUNCTUATION && parser->next.punctuation == '(') {
        uint64_t mask = parser->token.value;
        em_advance(parser), em_advance(parser);
        if (!mask || !symbol_value(parser, place, (uint32_t)__builtin_ctzll(mask)) || !em_expect(parser, ')')) return false;
    } else {
        em_operand value;
        if (!em_constant(parser, &value) || !put_number(parser, place, &value)) return false;
    }
    place->at += place->element;
    return true;
}

/* Braces nest as the array's dimensions do; a sub-array that is not full is filled with zeros. */
static bool braces(em_parser *parser, initialiser *place, const uint64_t *extents, uint32_t dimensions) {
    uint64_t start = place->at, size = place->element;
    for (uint32_t k = 0; k < dimensions; k++) size *= extents[k];
    if (!em_expect(parser, '{')) return false;
    while (!em_is(parser, '}')) {
        if (em_is(parser, '{')) {
            if (dimensions < 2) return em_syntax(parser);
            if (!braces(parser, place, extents + 1, dimensions - 1)) return false;
        } else if (dimensions > 1) {
            em_error(parser->module, parser->token.line, "Initial values of '%.200s' must be nested as its dimensions are", place->variable->name);
            return false;
        } else if (!element_value(parser, place)) {
            return false;
        }
        if (!em_accept(parser, ',')) break;
    }
    if (place->at > start + size) {
        em_error(parser->module, parser->token.line, "Too many initial values for '%.200s'", place->variable->name);
        return false;
    }
    place->at = start + size;
    return em_expect(parser, '}');
}

typedef struct form { em_type type; uint64_t align, extents[8]; uint32_t dimensions, vector; bool open; } form;

static bool dimensions(em_parser *parser, form *shape) {
    while (em_accept(parser, '[')) {
        if (shape->dimensions == 8) return em_syntax(parser);
        int64_t extent = 0;
        if (em_is(parser, ']') && shape->dimensions == 0) shape->open = true;
        else if (!em_constant_integer(parser, &extent)) return false;
        if (extent < 0 || (uint64_t)extent > MOST_BYTES) {
            em_error(parser->module, parser->token.line, "Wrong array size");
            return false;
        }
        shape->extents[shape->dimensions++] = (uint64_t)extent;
        if (!em_expect(parser, ']')) return false;
    }
    return true;
}

static bool size_of(em_parser *parser, const form *shape, uint64_t *size) {
    *size = em_type_bits(shape->type) / 8 * shape->vector;
    for (uint32_t k = 0; k < shape->dimensions; k++) {
        if (__builtin_mul_overflow(*size, shape->extents[k], size) || *size > MOST_BYTES) {
            em_error(parser->module, parser->token.line, "Variable is too large");
            return false;
        }
    }
    return true;
}

/* How many elements an initialiser of an array without a size has: looks ahead over its braces. */
static uint64_t count_initialisers(const em_parser *parser) {
    em_parser copy = *parser;
    uint64_t count = 0;
    uint32_t depth = 0;
    bool inside = false;
    while (copy.token.kind != EM_TOKEN_END && !em_is(&copy, ';')) {
        if (em_is(&copy, '{')) depth++;
        else if (em_is(&copy, '}') && depth-- == 1) break;
        else if (depth == 1 && em_is(&copy, ',')) inside = false;
        else if (depth >= 1 && !inside) inside = true, count++;
        if (depth == 1 && em_is(&copy, '{') && copy.token.kind == EM_TOKEN_PUNCTUATION) inside = false;
        em_advance(&copy);
    }
    return count;
}

static em_variable *variable_named(em_parser *parser, const em_token *name, em_space space) {
    em_symbol *symbol = em_symbol_here(parser, name->text, name->length, EM_SYMBOL_VARIABLE);
    if (symbol && symbol->kind == EM_SYMBOL_VARIABLE && symbol->variable && symbol->variable->external && symbol->variable->space == space) return symbol->variable;
    symbol = em_symbol_add(parser, name->text, name->length, EM_SYMBOL_VARIABLE);
    em_variable *variable = symbol ? em_arena_allocate(&parser->module->arena, sizeof *variable) : NULL;
    if (!variable) {
        if (symbol) symbol->kind = EM_SYMBOL_LABEL, symbol->label = NULL;
        return NULL;
    }
    variable->name = symbol->name;
    variable->space = space;
    variable->line = name->line;
    symbol->variable = variable;
    bool local = parser->function && space != EM_SPACE_GLOBAL && space != EM_SPACE_CONST;
    if (local) {
        variable->next = parser->function->variables;
        parser->function->variables = variable;
    } else {
        *parser->module->variables_tail = variable;
        parser->module->variables_tail = &variable->next;
    }
    return variable;
}

static bool one_variable(em_parser *parser, em_space space, form shape, bool external, bool visible) {
    em_token name = parser->token;
    if (name.kind != EM_TOKEN_NAME) return em_syntax(parser);
    em_advance(parser);
    if (!dimensions(parser, &shape)) return false;
    bool initialised = em_is(parser, '=');
    if (initialised && (space == EM_SPACE_SHARED || space == EM_SPACE_LOCAL || space == EM_SPACE_PARAM || external)) {
        em_error(parser->module, name.line, "Variable '%.*s' cannot be initialised", (int)(name.length < 200 ? name.length : 200), name.text);
        return false;
    }
    if (initialised) em_advance(parser);
    if (shape.open && initialised) shape.extents[0] = count_initialisers(parser), shape.open = false;
    if (shape.open && !external) {
        em_error(parser->module, name.line, "Array size of '%.*s' is missing", (int)(name.length < 200 ? name.length : 200), name.text);
        return false;
    }
    em_variable *variable = variable_named(parser, &name, space);
    if (!variable) return false;
    uint64_t natural = em_type_bits(shape.type) / 8 * shape.vector;
    if (!size_of(parser, &shape, &variable->size)) return false;
    if (variable->size == 0 && !shape.open) {
        em_error(parser->module, name.line, "Non-external variable '%.200s' has incomplete type", variable->name);
        return false;
    }
    if (external && variable->external && variable->type) return true;
    variable->type = (uint8_t)shape.type;
    variable->external = external;
    variable->visible = visible;
    variable->unsized = shape.open;
    variable->align = shape.align ? shape.align : natural;
    if (!initialised) return true;
    initialiser place = {.variable = variable, .element = em_type_bits(shape.type) / 8, .type = shape.type};
    if (shape.vector > 1) shape.extents[shape.dimensions < 8 ? shape.dimensions++ : 7] = shape.vector;
    if (em_is(parser, '{')) return braces(parser, &place, shape.extents, shape.dimensions ? shape.dimensions : 1);
    return element_value(parser, &place);
}

static bool alignment(em_parser *parser, uint64_t *align) {
    if (!em_accept_dot(parser, "align")) return true;
    uint64_t value = parser->token.value;
    if (parser->token.kind != EM_TOKEN_INTEGER) return em_syntax(parser);
    if (value == 0 || value > 1u << 16 || (value & (value - 1))) {
        em_error(parser->module, parser->token.line, "Alignment must be a power of two");
        return false;
    }
    *align = value;
    em_advance(parser);
    return true;
}

static bool shape_of(em_parser *parser, em_space space, form *shape) {
    shape->vector = 1;
    if (em_accept_dot(parser, "attribute")) {
        while (parser->token.kind != EM_TOKEN_END && !em_is(parser, ')') && !em_is(parser, ';')) em_advance(parser);
        if (!em_expect(parser, ')')) return false;
    }
    if (!alignment(parser, &shape->align)) return false;
    if (em_accept_dot(parser, "v2")) shape->vector = 2;
    else if (em_accept_dot(parser, "v4")) shape->vector = 4;
    if (!alignment(parser, &shape->align)) return false;
    uint32_t line = parser->token.line;
    if (!em_type_parse(parser, &shape->type)) return false;
    bool is_pred = shape->type == EM_PRED, packed = shape->type == EM_TF32 || shape->type == EM_U16X2 || shape->type == EM_S16X2 || shape->type == EM_F32X2 ||
        shape->type == EM_E4M3X2 || shape->type == EM_E5M2X2 || shape->type == EM_BF16 || shape->type == EM_BF16X2;
    if ((is_pred && (space != EM_SPACE_REG || shape->vector > 1)) || packed || (shape->type == EM_B128 && parser->module->version < 83)) {
        em_error(parser->module, line, "Type .%s cannot be used in this declaration", em_type_name(shape->type));
        return false;
    }
    return true;
}

bool em_declare(em_parser *parser, bool external, bool visible) {
    static const struct { const char *word; em_space space; } spaces[] = {{"reg", EM_SPACE_REG}, {"global", EM_SPACE_GLOBAL}, {"shared", EM_SPACE_SHARED},
        {"local", EM_SPACE_LOCAL}, {"const", EM_SPACE_CONST}, {"param", EM_SPACE_PARAM}};
    em_space space = EM_GENERIC;
    for (size_t k = 0; k < sizeof spaces / sizeof *spaces; k++) {
        if (em_is_dot(parser, spaces[k].word)) space = spaces[k].space;
    }
    if (space == EM_GENERIC) return em_syntax(parser);
    if (!parser->function && (space == EM_SPACE_LOCAL || space == EM_SPACE_PARAM)) {
        em_error(parser->module, parser->token.line, "State space .%.*s is not allowed at module scope", (int)parser->token.length, parser->token.text);
        return false;
    }
    em_advance(parser);
    form shape = {0};
    if (!shape_of(parser, space, &shape)) return false;
    if (space == EM_SPACE_REG) return registers(parser, shape.type, shape.vector);
    do {
        if (!one_variable(parser, space, shape, external, visible)) return false;
    } while (em_accept(parser, ','));
    return em_expect(parser, ';');
}

/* .ptr {.space} {.align n} */
static bool pointer_attribute(em_parser *parser) {
    if (!em_accept_dot(parser, "ptr")) return true;
    if (!em_accept_dot(parser, "global") && !em_accept_dot(parser, "const") && !em_accept_dot(parser, "shared")) em_accept_dot(parser, "local");
    uint64_t unused;
    return alignment(parser, &unused);
}

static bool register_parameter(em_parser *parser, em_function *owner, em_variable *variable) {
    form shape = {0};
    if (!shape_of(parser, EM_SPACE_REG, &shape)) return false;
    em_token name = parser->token;
    if (name.kind != EM_TOKEN_NAME) return em_syntax(parser);
    em_advance(parser);
    if (!add_register(parser, owner, shape.type, shape.vector, &name, 0)) return false;
    variable->space = EM_SPACE_REG;
    variable->type = (uint8_t)shape.type;
    variable->address = owner->register_count - shape.vector;
    variable->size = em_type_bits(shape.type) / 8;
    return true;
}

static bool memory_parameter(em_parser *parser, em_function *owner, em_variable *variable) {
    form shape = {0};
    if (!shape_of(parser, EM_SPACE_PARAM, &shape)) return false;
    if (!pointer_attribute(parser)) return false;
    em_token name = parser->token;
    if (name.kind != EM_TOKEN_NAME) return em_syntax(parser);
    em_advance(parser);
    if (!dimensions(parser, &shape) || !size_of(parser, &shape, &variable->size)) return false;
    variable->type = (uint8_t)shape.type;
    variable->space = EM_SPACE_PARAM;
    variable->align = shape.align ? shape.align : em_type_bits(shape.type) / 8 * shape.vector;
    variable->unsized = shape.open;
    if (name.length == 1 && name.text[0] == '_') return true; /* a .callprototype's parameters may have no name */
    em_symbol *symbol = em_symbol_add(parser, name.text, name.length, EM_SYMBOL_VARIABLE);
    if (!symbol) return false;
    symbol->variable = variable;
    variable->name = symbol->name;
    variable->next = owner->variables;
    owner->variables = variable;
    return true;
}

bool em_parameters(em_parser *parser, em_function *owner, bool formal, em_variable ***list, uint32_t *count) {
    em_variable *found[EM_OPERANDS];
    uint32_t number = 0;
    if (!em_expect(parser, '(')) return false;
    while (!em_is(parser, ')')) {
        em_variable *variable = em_arena_allocate(&parser->module->arena, sizeof *variable);
        if (!variable) return false;
        variable->formal = formal;
        variable->listed = true;
        variable->line = parser->token.line;
        variable->name = "";
        bool good = em_accept_dot(parser, "param") ? memory_parameter(parser, owner, variable) :
            formal && em_accept_dot(parser, "reg") ? register_parameter(parser, owner, variable) : em_syntax(parser);
        if (!good) return false;
        if (number == EM_OPERANDS) return em_syntax(parser);
        found[number++] = variable;
        if (!em_accept(parser, ',')) break;
    }
    if (!em_expect(parser, ')')) return false;
    *list = em_arena_allocate(&parser->module->arena, (number ? number : 1) * sizeof **list);
    if (!*list) return false;
    if (number) memcpy(*list, found, number * sizeof *found);
    *count = number;
    return true;
}
