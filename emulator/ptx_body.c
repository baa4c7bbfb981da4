/* Function bodies: labels, nested blocks, instructions with their operands. Names are resolved as they are read, since PTX declares before it
 * uses; labels alone may come later. */
#include "emulator/ptx_parse.h"

#include <string.h>

static em_operand *copy_operands(em_parser *parser, const em_operand *operands, uint32_t count) {
    em_operand *copy = em_arena_allocate(&parser->module->arena, (count ? count : 1) * sizeof *copy);
    if (copy && count) memcpy(copy, operands, count * sizeof *copy);
    return copy;
}

static bool unknown(em_parser *parser, const em_token *token) {
    em_error(parser->module, token->line, "Unknown symbol '%.*s'", (int)(token->length < 200 ? token->length : 200), token->text);
    return false;
}

/* .x .y .z .w (or .r .g .b .a): its number; -1: none */
static int component(const em_parser *parser) {
    if (parser->token.kind != EM_TOKEN_DOT || parser->token.length != 1) return -1;
    const char *names = "xyzwrgba", *at = strchr(names, parser->token.text[0]);
    return at && *at ? (int)(at - names) % 4 : -1;
}

static bool register_operand(em_parser *parser, em_operand *operand, const em_symbol *symbol, uint32_t reg) {
    operand->kind = EM_OPERAND_REGISTER;
    operand->type = symbol->type;
    operand->reg = reg;
    int part = component(parser);
    if (symbol->width == 1) return true;
    if (part >= 0 && part < symbol->width) {
        operand->reg += (uint32_t)part;
        em_advance(parser);
        return true;
    }
    em_operand elements[4]; /* the whole vector */
    memset(elements, 0, sizeof elements);
    for (uint32_t k = 0; k < symbol->width; k++) elements[k] = (em_operand){.kind = EM_OPERAND_REGISTER, .type = symbol->type, .reg = reg + k};
    operand->kind = EM_OPERAND_VECTOR;
    operand->count = symbol->width;
    operand->elements = copy_operands(parser, elements, symbol->width);
    return operand->elements != NULL;
}

static bool special_operand(em_parser *parser, em_operand *operand, const em_token *name) {
    char text[40];
    size_t length = name->length;
    if (length > 30) return unknown(parser, name);
    memcpy(text, name->text, length);
    if (component(parser) >= 0) {
        text[length] = '.';
        text[length + 1] = parser->token.text[0];
        if (em_special_find(text, length + 2, &operand->special)) {
            em_advance(parser);
            operand->kind = EM_OPERAND_SPECIAL;
            return true;
        }
    }
    if (!em_special_find(text, length, &operand->special)) return unknown(parser, name);
    operand->kind = EM_OPERAND_SPECIAL;
    return true;
}

/* labels: what is no other name is a label; lists: one of .branchtargets. */
static bool named_operand(em_parser *parser, em_operand *operand, bool labels, bool lists) {
    em_token name = parser->token;
    em_symbol *symbol;
    uint32_t reg;
    if (name.length == 1 && name.text[0] == '_') {
        operand->kind = EM_OPERAND_SINK;
        em_advance(parser);
        return true;
    }
    if (em_is_name(parser, "WARP_SZ")) return em_constant(parser, operand);
    em_advance(parser);
    if (em_register_find(parser, name.text, name.length, &symbol, &reg)) return register_operand(parser, operand, symbol, reg);
    symbol = em_symbol_find(parser, name.text, name.length);
    if (symbol && symbol->kind == EM_SYMBOL_VARIABLE && symbol->variable) {
        operand->kind = EM_OPERAND_VARIABLE;
        operand->variable = symbol->variable;
        if (em_is(parser, '+')) return em_constant_integer(parser, &operand->value);
        return true;
    }
    if (symbol && symbol->kind == EM_SYMBOL_FUNCTION) {
        operand->kind = EM_OPERAND_FUNCTION;
        operand->function = symbol->function;
        return true;
    }
    if (name.text[0] == '%') return special_operand(parser, operand, &name);
    if (!labels) return unknown(parser, &name);
    operand->kind = EM_OPERAND_LABEL;
    operand->label = lists ? em_list_use(parser, name.text, name.length) : em_label_use(parser, name.text, name.length);
    return operand->label != NULL;
}

static bool vector_operand(em_parser *parser, em_operand *operand) {
    em_operand elements[16];
    uint32_t count = 0;
    em_advance(parser);
    do {
        if (count == 16) return em_syntax(parser);
        em_operand *element = &elements[count++];
        memset(element, 0, sizeof *element);
        bool good = parser->token.kind == EM_TOKEN_NAME ? named_operand(parser, element, false, false) : em_constant(parser, element);
        if (!good) return false;
        if (element->kind == EM_OPERAND_VECTOR) return em_syntax(parser);
    } while (em_accept(parser, ','));
    operand->kind = EM_OPERAND_VECTOR;
    operand->count = count;
    operand->elements = copy_operands(parser, elements, count);
    return operand->elements && em_expect(parser, '}');
}

static bool address_operand(em_parser *parser, em_operand *operand) {
    em_operand base = {0};
    em_advance(parser);
    if (parser->token.kind == EM_TOKEN_NAME && !em_is_name(parser, "WARP_SZ")) {
        if (!named_operand(parser, &base, false, false)) return false;
        if (base.kind == EM_OPERAND_REGISTER && em_is(parser, '+') && !em_constant_integer(parser, &base.value)) return false;
    } else if (!em_constant(parser, &base)) {
        return false;
    }
    if (base.kind != EM_OPERAND_REGISTER && base.kind != EM_OPERAND_VARIABLE && base.kind != EM_OPERAND_INTEGER) return em_syntax(parser);
    *operand = base;
    operand->base = base.kind;
    operand->kind = EM_OPERAND_ADDRESS;
    return em_expect(parser, ']');
}

static bool parse_operand(em_parser *parser, em_operand *operand, bool labels, bool lists) {
    memset(operand, 0, sizeof *operand);
    if (em_is(parser, '!') && parser->next.kind == EM_TOKEN_NAME) {
        em_advance(parser);
        if (!named_operand(parser, operand, false, false)) return false;
        operand->negated = true;
        return true;
    }
    if (em_is(parser, '{')) return vector_operand(parser, operand);
    if (em_is(parser, '[')) return address_operand(parser, operand);
    if (parser->token.kind == EM_TOKEN_NAME) return named_operand(parser, operand, labels, lists);
    return em_constant(parser, operand);
}

/* Operands up to the ; */
static bool operand_list(em_parser *parser, em_instruction *instruction, bool labels, bool lists) {
    uint32_t count = 0;
    bool joined = false;
    while (!em_is(parser, ';')) {
        if (count == 16) return em_syntax(parser);
        if (!parse_operand(parser, &parser->operands[count], labels, lists)) return false;
        parser->operands[count++].joined = joined;
        joined = em_is(parser, '|');
        if (joined || em_is(parser, ',')) em_advance(parser);
        else break;
        if (em_is(parser, ';')) return em_syntax(parser);
    }
    instruction->operands = copy_operands(parser, parser->operands, count);
    instruction->operand_count = count;
    return instruction->operands && em_expect(parser, ';');
}

static bool call_list(em_parser *parser, em_operand **list, uint32_t *count) {
    if (!em_expect(parser, '(')) return false;
    *count = 0;
    while (!em_is(parser, ')')) {
        if (*count == EM_OPERANDS) return em_syntax(parser);
        if (!parse_operand(parser, &parser->operands[(*count)++], false, false)) return false;
        if (!em_accept(parser, ',')) break;
    }
    *list = copy_operands(parser, parser->operands, *count);
    return *list && em_expect(parser, ')');
}

/* call {(results),} target {, (arguments)} {, prototype}; */
static bool call_operands(em_parser *parser, em_instruction *instruction) {
    em_call *call = em_arena_allocate(&parser->module->arena, sizeof *call);
    instruction->call = call;
    instruction->operands = copy_operands(parser, parser->operands, 0);
    if (!call || !instruction->operands) return false;
    if (em_is(parser, '(') && (!call_list(parser, &call->results, &call->result_count) || !em_expect(parser, ','))) return false;
    if (parser->token.kind != EM_TOKEN_NAME) return em_syntax(parser);
    if (!named_operand(parser, &call->target, false, false)) return false;
    if (em_accept(parser, ',')) {
        if (em_is(parser, '(')) {
            if (!call_list(parser, &call->arguments, &call->argument_count)) return false;
            if (!em_accept(parser, ',')) return em_expect(parser, ';');
        }
        if (parser->token.kind != EM_TOKEN_NAME) return em_syntax(parser);
        call->prototype = em_list_use(parser, parser->token.text, parser->token.length);
        if (!call->prototype) return false;
        em_advance(parser);
    }
    return em_expect(parser, ';');
}

static em_instruction *add_instruction(em_parser *parser) {
    em_function *function = parser->function;
    if (function->count == function->capacity) {
        uint32_t capacity = function->capacity ? function->capacity * 2 : 64;
        em_instruction *code = em_arena_allocate(&parser->module->arena, capacity * sizeof *code);
        if (!code) return NULL;
        if (function->count) memcpy(code, function->code, function->count * sizeof *code);
        function->code = code;
        function->capacity = capacity;
    }
    return &function->code[function->count];
}

static bool guard(em_parser *parser, em_instruction *instruction) {
    if (!em_accept(parser, '@')) return true;
    em_symbol *symbol;
    instruction->guard_negated = em_accept(parser, '!');
    const em_token *name = &parser->token;
    if (name->kind != EM_TOKEN_NAME) return em_syntax(parser);
    if (!em_register_find(parser, name->text, name->length, &symbol, &instruction->guard)) return unknown(parser, name);
    if (symbol->type != EM_PRED) {
        em_error(parser->module, name->line, "Predicate expected as guard");
        return false;
    }
    instruction->guarded = true;
    em_advance(parser);
    return true;
}

static bool instruction_statement(em_parser *parser) {
    char mnemonic[32], text[16][40];
    const char *words[16];
    uint32_t count = 0;
    em_instruction *instruction = add_instruction(parser);
    if (!instruction) return false;
    memset(instruction, 0, sizeof *instruction);
    instruction->line = parser->token.line;
    instruction->file = parser->file;
    instruction->source = parser->source;
    if (!guard(parser, instruction)) return false;
    em_token name = parser->token;
    if (name.kind != EM_TOKEN_NAME) return em_syntax(parser);
    instruction->line = name.line;
    if (name.length >= sizeof mnemonic) {
        em_error(parser->module, name.line, "Not a name of any known instruction: '%.*s'", (int)(name.length < 200 ? name.length : 200), name.text);
        return false;
    }
    memcpy(mnemonic, name.text, name.length);
    mnemonic[name.length] = '\0';
    em_advance(parser);
    while (parser->token.kind == EM_TOKEN_DOT) {
        if (count == 16 || parser->token.length >= sizeof text[0]) {
            em_error(parser->module, name.line, "Unknown modifier '.%.*s'", (int)(parser->token.length < 200 ? parser->token.length : 200), parser->token.text);
            return false;
        }
        memcpy(text[count], parser->token.text, parser->token.length);
        text[count][parser->token.length] = '\0';
        words[count] = text[count];
        count++;
        em_advance(parser);
    }
    bool lists = !strcmp(mnemonic, "brx"), labels = lists || !strcmp(mnemonic, "bra");
    if (!(strcmp(mnemonic, "call") ? operand_list(parser, instruction, labels, lists) : call_operands(parser, instruction))) return false;
    em_check(parser->module, parser->function, instruction, mnemonic, words, count);
    parser->function->count++;
    return true;
}

static bool branch_targets(em_parser *parser, em_label *label) {
    uint32_t count = 0;
    em_advance(parser);
    do {
        if (parser->token.kind != EM_TOKEN_NAME || count == EM_OPERANDS) return em_syntax(parser);
        em_operand *operand = &parser->operands[count++];
        *operand = (em_operand){.kind = EM_OPERAND_LABEL, .label = em_label_use(parser, parser->token.text, parser->token.length)};
        if (!operand->label) return false;
        em_advance(parser);
    } while (em_accept(parser, ','));
    label->targets = copy_operands(parser, parser->operands, count);
    label->target_count = count;
    return label->targets && em_expect(parser, ';');
}

/* .callprototype {(results)} _ {(parameters)}; */
bool em_prototype_directive(em_parser *parser, em_label *label) {
    em_function owner = {.module = parser->module};
    em_prototype *prototype = em_arena_allocate(&parser->module->arena, sizeof *prototype);
    if (!prototype || !em_scope_open(parser)) return false;
    em_advance(parser);
    bool good = !em_is(parser, '(') || em_parameters(parser, &owner, true, &prototype->results, &prototype->result_count);
    if (good && parser->token.kind == EM_TOKEN_NAME) em_advance(parser);
    else if (good) good = em_syntax(parser);
    if (good && em_is(parser, '(')) good = em_parameters(parser, &owner, true, &prototype->formals, &prototype->formal_count);
    while (good && em_accept_dot(parser, "noreturn")) {}
    em_scope_close(parser);
    label->prototype = prototype;
    return good && em_expect(parser, ';');
}

static bool label_statement(em_parser *parser) {
    em_token name = parser->token;
    em_advance(parser), em_advance(parser);
    if (!em_label_define(parser, &name)) return false;
    em_label *label = parser->function->labels;
    if (em_is_dot(parser, "branchtargets")) return branch_targets(parser, label);
    if (em_is_dot(parser, "callprototype")) return em_prototype_directive(parser, label);
    if (em_is_dot(parser, "calltargets")) return branch_targets(parser, label);
    return true;
}

static bool body_directive(em_parser *parser) {
    if (em_is_dot(parser, "loc")) return em_loc(parser);
    if (em_is_dot(parser, "section")) return em_section(parser);
    if (em_accept_dot(parser, "pragma")) {
        if (parser->token.kind != EM_TOKEN_STRING) return em_syntax(parser);
        em_advance(parser);
        return em_expect(parser, ';');
    }
    return em_declare(parser, em_accept_dot(parser, "extern"), false);
}

static void body_statement(em_parser *parser) {
    const em_token *token = &parser->token;
    bool good;
    if (token->kind == EM_TOKEN_NAME && parser->next.kind == EM_TOKEN_PUNCTUATION && parser->next.punctuation == ':') good = label_statement(parser);
    else if (token->kind == EM_TOKEN_DOT) good = body_directive(parser);
    else if (token->kind == EM_TOKEN_NAME || em_is(parser, '@')) good = instruction_statement(parser);
    else good = em_syntax(parser);
    if (good) return;
    while (token->kind != EM_TOKEN_END && !em_is(parser, ';') && !em_is(parser, '}')) {
        if (token->kind == EM_TOKEN_DOT && em_is_dot(parser, "entry")) return;
        em_advance(parser);
    }
    if (!em_accept(parser, ';') && em_is(parser, '}') && parser->next.kind == EM_TOKEN_PUNCTUATION && strchr(",;)", parser->next.punctuation)) {
        em_advance(parser); /* the end of a vector operand */
        while (token->kind != EM_TOKEN_END && !em_is(parser, ';') && !em_is(parser, '}')) em_advance(parser);
        em_accept(parser, ';');
    }
}

bool em_body(em_parser *parser, em_function *function) {
    uint32_t outer = parser->depth;
    parser->function = function;
    parser->file = parser->source = 0;
    em_advance(parser);
    if (!em_scope_open(parser)) return false;
    while (parser->module->errors < 100 && !parser->module->arena.failed) {
        if (em_is(parser, '{')) {
            em_advance(parser);
            if (!em_scope_open(parser)) return false;
        } else if (em_is(parser, '}')) {
            em_scope_close(parser);
            em_advance(parser);
            if (parser->depth == outer) break;
        } else if (parser->token.kind == EM_TOKEN_END) {
            return em_syntax(parser);
        } else {
            body_statement(parser);
        }
    }
    while (parser->depth > outer) em_scope_close(parser);
    em_scope_close(parser); /* the parameters' */
    parser->function = NULL;
    return true;
}
