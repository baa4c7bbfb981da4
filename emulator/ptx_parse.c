/* The module level of PTX: .version, .target, functions' heads, linkage, debug sections. After an error the parser goes on at the next
 * statement, so that one run reports many; the module is refused in the end. */
#include "emulator/ptx_parse.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void em_advance(em_parser *parser) {
    parser->token = parser->next;
    parser->next = em_lex(&parser->lexer);
}

bool em_is(const em_parser *parser, char punctuation) {
    return parser->token.kind == EM_TOKEN_PUNCTUATION && parser->token.punctuation == punctuation;
}

static bool is_text(const em_token *token, em_token_kind kind, const char *word) {
    return token->kind == kind && token->length == strlen(word) && !memcmp(token->text, word, token->length);
}

bool em_is_dot(const em_parser *parser, const char *word) { return is_text(&parser->token, EM_TOKEN_DOT, word); }
bool em_is_name(const em_parser *parser, const char *word) { return is_text(&parser->token, EM_TOKEN_NAME, word); }

bool em_accept(em_parser *parser, char punctuation) {
    if (!em_is(parser, punctuation)) return false;
    em_advance(parser);
    return true;
}

bool em_accept_dot(em_parser *parser, const char *word) {
    if (!em_is_dot(parser, word)) return false;
    em_advance(parser);
    return true;
}

bool em_syntax(em_parser *parser) {
    const em_token *token = &parser->token;
    if (token->kind == EM_TOKEN_END) em_error(parser->module, token->line, "Parsing error near end of text: syntax error");
    else em_error(parser->module, token->line, "Parsing error near '%s%.*s': syntax error", token->kind == EM_TOKEN_DOT ? "." : "",
                  (int)(token->length < 60 ? token->length : 60), token->text);
    return false;
}

bool em_expect(em_parser *parser, char punctuation) { return em_accept(parser, punctuation) || em_syntax(parser); }

char *em_copy(em_parser *parser, const char *text, size_t length) {
    char *copy = em_arena_allocate(&parser->module->arena, length + 1);
    if (copy && length) memcpy(copy, text, length);
    return copy;
}

bool em_name(em_parser *parser, const char **name) {
    if (parser->token.kind != EM_TOKEN_NAME) return em_syntax(parser);
    *name = em_copy(parser, parser->token.text, parser->token.length);
    if (!*name) return false;
    em_advance(parser);
    return true;
}

void em_skip_statement(em_parser *parser) {
    while (parser->token.kind != EM_TOKEN_END && !em_is(parser, ';') && !em_is(parser, '}') && !em_is(parser, '{')) em_advance(parser);
    em_accept(parser, ';');
}

static void skip_block(em_parser *parser) {
    uint32_t depth = 0;
    while (parser->token.kind != EM_TOKEN_END) {
        if (em_is(parser, '{')) depth++;
        if (em_is(parser, '}') && (depth == 0 || --depth == 0)) {
            em_advance(parser);
            return;
        }
        em_advance(parser);
    }
}

bool em_section(em_parser *parser) {
    em_advance(parser);
    while (parser->token.kind != EM_TOKEN_END && !em_is(parser, '{')) em_advance(parser);
    if (!em_is(parser, '{')) return em_syntax(parser);
    skip_block(parser);
    return true;
}

/* .loc file line column [, function_name label {+ offset}, inlined_at file line column] */
bool em_loc(em_parser *parser) {
    em_advance(parser);
    uint64_t numbers[3] = {0};
    for (int k = 0; k < 3; k++) {
        if (parser->token.kind != EM_TOKEN_INTEGER) return em_syntax(parser);
        numbers[k] = parser->token.value;
        em_advance(parser);
    }
    parser->file = (uint32_t)numbers[0];
    parser->source = (uint32_t)numbers[1];
    while (em_accept(parser, ',')) {
        if (em_is_name(parser, "function_name")) {
            em_advance(parser), em_advance(parser);
            if (em_accept(parser, '+')) em_advance(parser);
        } else if (em_is_name(parser, "inlined_at")) {
            em_advance(parser), em_advance(parser), em_advance(parser), em_advance(parser);
        } else {
            return em_syntax(parser);
        }
    }
    return true;
}

/* .file number "name" [, time, size] */
static bool file_directive(em_parser *parser) {
    em_module *module = parser->module;
    em_advance(parser);
    uint64_t number = parser->token.value;
    if (parser->token.kind != EM_TOKEN_INTEGER) return em_syntax(parser);
    em_advance(parser);
    if (parser->token.kind != EM_TOKEN_STRING) return em_syntax(parser);
    const char *name = em_copy(parser, parser->token.text, parser->token.length);
    em_advance(parser);
    while (em_accept(parser, ',')) {
        if (parser->token.kind != EM_TOKEN_INTEGER) return em_syntax(parser);
        em_advance(parser);
    }
    if (number >= 65536 || !name) return true;
    if (number >= module->file_count) {
        uint32_t count = (uint32_t)number + 16;
        const char **files = em_arena_allocate(&module->arena, count * sizeof *files);
        if (!files) return false;
        if (module->file_count) memcpy(files, module->files, module->file_count * sizeof *files);
        module->files = files;
        module->file_count = count;
    }
    module->files[number] = name;
    return true;
}

static bool version_directive(em_parser *parser) {
    em_module *module = parser->module;
    unsigned major = 0, minor = 0;
    char text[16] = "";
    em_advance(parser);
    if (parser->token.kind != EM_TOKEN_FLOAT || parser->token.length >= sizeof text) return em_syntax(parser);
    memcpy(text, parser->token.text, parser->token.length);
    if (sscanf(text, "%3u.%3u", &major, &minor) != 2 || minor > 9) return em_syntax(parser);
    module->version = major * 10 + minor;
    if (module->version > module->device.ptx_version) {
        em_error(module, parser->token.line, "Unsupported .version %u.%u; current version is '%u.%u'", major, minor,
                 module->device.ptx_version / 10, module->device.ptx_version % 10);
        module->status = EM_UNSUPPORTED_PTX_VERSION;
    }
    em_advance(parser);
    return true;
}

/* The first PTX version that knows a target. */
static uint32_t target_version(uint32_t sm) {
    static const uint16_t table[][2] = {{10, 10}, {11, 10}, {12, 12}, {13, 12}, {20, 20}, {30, 30}, {32, 40}, {35, 31}, {37, 41}, {50, 40}, {52, 41}, {53, 42},
        {60, 50}, {61, 50}, {62, 50}, {70, 60}, {72, 61}, {75, 63}, {80, 70}, {86, 71}, {87, 74}, {88, 90}, {89, 78}, {90, 78}, {100, 86}, {101, 86}, {103, 88},
        {110, 90}, {120, 87}, {121, 88}};
    for (size_t k = 0; k < sizeof table / sizeof *table; k++) {
        if (table[k][0] == sm) return table[k][1];
    }
    return 0;
}

static bool target_name(em_parser *parser) {
    em_module *module = parser->module;
    const em_token *token = &parser->token;
    char text[24] = "";
    if (token->kind != EM_TOKEN_NAME || token->length >= sizeof text) return em_syntax(parser);
    memcpy(text, token->text, token->length);
    unsigned sm = 0;
    char suffix = '\0';
    if (!strcmp(text, "debug")) {
        module->debug = true;
    } else if (sscanf(text, "sm_%4u%c", &sm, &suffix) >= 1) {
        uint32_t needed = target_version(sm);
        if (!needed || (suffix && suffix != 'a' && suffix != 'f')) {
            em_error(module, token->line, "Unknown .target '%s'", text);
        } else if (module->version < needed) {
            em_error(module, token->line, "PTX .version %u.%u does not support .target %s", module->version / 10, module->version % 10, text);
        } else if (sm > module->device.sm || (suffix == 'a' && sm != module->device.sm) || (suffix == 'f' && sm / 10 != module->device.sm / 10)) {
            em_error(module, token->line, "Module targets %s, device is sm_%u", text, module->device.sm);
            if (module->status == EM_OK) module->status = EM_NO_BINARY_FOR_GPU;
        }
        module->target = sm;
    } else if (strcmp(text, "texmode_unified") && strcmp(text, "texmode_independent") && strcmp(text, "map_f64_to_f32")) {
        em_error(module, token->line, "Unknown .target '%s'", text);
    }
    em_advance(parser);
    return true;
}

static bool target_directive(em_parser *parser) {
    em_advance(parser);
    do {
        if (!target_name(parser)) return false;
    } while (em_accept(parser, ','));
    return true;
}

static bool address_size(em_parser *parser) {
    em_advance(parser);
    if (parser->token.kind != EM_TOKEN_INTEGER) return em_syntax(parser);
    if (parser->token.value != 64) em_error(parser->module, parser->token.line, ".address_size must be 64");
    em_advance(parser);
    return true;
}

static bool pragma(em_parser *parser) {
    em_advance(parser);
    do {
        if (parser->token.kind != EM_TOKEN_STRING) return em_syntax(parser);
        em_advance(parser);
    } while (em_accept(parser, ','));
    return em_expect(parser, ';');
}

/* Up to three numbers of .maxntid and the like. */
static bool numbers(em_parser *parser, uint32_t *values, uint32_t most) {
    uint32_t count = 0;
    do {
        if (parser->token.kind != EM_TOKEN_INTEGER || count == most) return em_syntax(parser);
        values[count++] = (uint32_t)parser->token.value;
        em_advance(parser);
    } while (em_accept(parser, ','));
    return true;
}

static bool function_directives(em_parser *parser, em_function *function) {
    while (parser->token.kind == EM_TOKEN_DOT) {
        uint32_t line = parser->token.line, unused[3];
        bool entry_only = true;
        if (em_accept_dot(parser, "maxntid")) {
            function->maxntid[0] = function->maxntid[1] = function->maxntid[2] = 1;
            function->has_maxntid = true;
            if (!numbers(parser, function->maxntid, 3)) return false;
        } else if (em_accept_dot(parser, "reqntid")) {
            function->reqntid[0] = function->reqntid[1] = function->reqntid[2] = 1;
            function->has_reqntid = true;
            if (!numbers(parser, function->reqntid, 3)) return false;
        } else if (em_accept_dot(parser, "minnctapersm") || em_accept_dot(parser, "maxnctapersm")) {
            if (!numbers(parser, &function->minnctapersm, 1)) return false;
        } else if (em_accept_dot(parser, "maxnreg")) {
            if (!numbers(parser, &function->maxnreg, 1)) return false;
        } else if (em_accept_dot(parser, "noreturn")) {
            function->noreturn = true;
            entry_only = false;
        } else if (em_accept_dot(parser, "abi_preserve") || em_accept_dot(parser, "abi_preserve_control")) {
            if (!numbers(parser, unused, 1)) return false;
            entry_only = false;
        } else if (em_is_dot(parser, "pragma")) {
            if (!pragma(parser)) return false;
            entry_only = false;
        } else if (em_accept_dot(parser, "unique_in_callgraph") || em_accept_dot(parser, "explicitcluster")) {
            entry_only = false;
        } else if (em_accept_dot(parser, "reqnctapercluster") || em_accept_dot(parser, "maxclusterrank")) {
            if (!numbers(parser, unused, 3)) return false;
        } else {
            return em_syntax(parser);
        }
        if (entry_only && !function->entry) em_error(parser->module, line, "Performance directive is allowed for .entry functions only");
    }
    return true;
}

static bool same_shape(const em_prototype *a, const em_prototype *b) {
    if (a->result_count != b->result_count || a->formal_count != b->formal_count) return false;
    for (uint32_t k = 0; k < a->result_count; k++) {
        if (a->results[k]->size != b->results[k]->size) return false;
    }
    for (uint32_t k = 0; k < a->formal_count; k++) {
        if (a->formals[k]->size != b->formals[k]->size) return false;
    }
    return true;
}

/* The function that this head declares: a new one, or the one declared before. */
static em_function *function_named(em_parser *parser, const em_token *name, bool entry) {
    em_module *module = parser->module;
    em_symbol *symbol = em_symbol_find(parser, name->text, name->length);
    if (symbol && symbol->kind == EM_SYMBOL_FUNCTION && symbol->function->entry == entry) return symbol->function;
    symbol = em_symbol_add(parser, name->text, name->length, EM_SYMBOL_FUNCTION);
    em_function *function = symbol ? em_arena_allocate(&module->arena, sizeof *function) : NULL;
    if (!function) {
        if (symbol) symbol->kind = EM_SYMBOL_LABEL, symbol->label = NULL;
        return NULL;
    }
    symbol->function = function;
    function->module = module;
    function->name = symbol->name;
    function->entry = entry;
    function->line = name->line;
    *module->functions_tail = function;
    module->functions_tail = &function->next;
    return function;
}

/* Behind .entry or .func. The parameters' scope is open while the body is read. */
static bool function_head(em_parser *parser, bool entry, bool external, bool visible, bool weak) {
    em_module *module = parser->module;
    em_function head = {.entry = entry, .module = module};
    while (!entry && em_accept_dot(parser, "noreturn")) head.noreturn = true;
    if (!em_scope_open(parser)) return false;
    if (!entry && em_is(parser, '(') && !em_parameters(parser, &head, true, &head.prototype.results, &head.prototype.result_count)) return false;
    em_token name = parser->token;
    if (name.kind != EM_TOKEN_NAME) return em_syntax(parser);
    em_advance(parser);
    if (em_is(parser, '(') && !em_parameters(parser, &head, !entry, &head.prototype.formals, &head.prototype.formal_count)) return false;
    uint32_t depth = parser->depth; /* the function's own name belongs to the module's scope */
    parser->depth = 0;
    em_function *function = function_named(parser, &name, entry);
    parser->depth = depth;
    if (!function) return false;
    if ((function->defined || function->external || function->prototype.formals || function->prototype.results) && !same_shape(&function->prototype, &head.prototype)) {
        em_error(module, name.line, "Declaration of '%s' does not match an earlier one", function->name);
        return false;
    }
    if (!function->defined) function->prototype = head.prototype;
    function->external |= external, function->visible |= visible, function->weak |= weak, function->noreturn |= head.noreturn;
    if (!function_directives(parser, function)) return false;
    if (em_accept(parser, ';')) return true;
    if (!em_is(parser, '{')) return em_syntax(parser);
    if (function->defined) {
        em_error(module, name.line, "Duplicate definition of function '%s'", function->name);
        skip_block(parser);
        return true;
    }
    function->defined = true;
    function->line = name.line;
    function->variables = head.variables;
    function->register_types = head.register_types;
    function->register_widths = head.register_widths;
    function->register_count = head.register_count;
    return em_body(parser, function);
}

static bool linked(em_parser *parser) {
    bool external = false, visible = false, weak = false;
    for (;;) {
        if (em_accept_dot(parser, "extern")) external = true;
        else if (em_accept_dot(parser, "visible")) visible = true;
        else if (em_accept_dot(parser, "weak")) weak = visible = true;
        else if (em_accept_dot(parser, "common")) visible = true;
        else break;
    }
    bool entry = em_is_dot(parser, "entry");
    if (entry || em_is_dot(parser, "func")) {
        em_advance(parser);
        uint32_t depth = parser->depth;
        bool good = function_head(parser, entry, external, visible, weak);
        while (parser->depth > depth) em_scope_close(parser);
        parser->function = NULL;
        return good;
    }
    return em_declare(parser, external, visible);
}

static bool module_item(em_parser *parser) {
    if (parser->token.kind != EM_TOKEN_DOT) return em_syntax(parser);
    if (em_is_dot(parser, "file")) return file_directive(parser);
    if (em_is_dot(parser, "section")) return em_section(parser);
    if (em_is_dot(parser, "loc")) return em_loc(parser);
    if (em_is_dot(parser, "pragma")) return pragma(parser);
    if (em_is_dot(parser, "address_size")) return address_size(parser);
    if (em_is_dot(parser, "version") || em_is_dot(parser, "target")) {
        em_error(parser->module, parser->token.line, "Misplaced .%.*s directive", (int)parser->token.length, parser->token.text);
        em_advance(parser), em_advance(parser);
        return true;
    }
    return linked(parser);
}

/* .version and .target come first, in this order. */
static bool head(em_parser *parser) {
    if (!em_is_dot(parser, "version")) {
        em_error(parser->module, parser->token.line, "Missing .version directive at start of file");
        return false;
    }
    if (!version_directive(parser) || parser->module->status != EM_OK) return false;
    if (!em_is_dot(parser, "target")) {
        em_error(parser->module, parser->token.line, "Missing .target directive");
        return false;
    }
    return target_directive(parser) && parser->module->status == EM_OK;
}

bool em_parse(em_module *module, const char *text, size_t length) {
    const char *zero = memchr(text, '\0', length);
    em_parser *parser = calloc(1, sizeof *parser);
    if (!parser) return false;
    parser->buckets = calloc(EM_BUCKETS, sizeof *parser->buckets);
    parser->operands = calloc(EM_OPERANDS, sizeof *parser->operands);
    if (parser->buckets && parser->operands) {
        parser->module = module;
        parser->lexer = (em_lexer){text, zero ? zero : text + length, 1};
        em_advance(parser), em_advance(parser);
        if (head(parser)) {
            while (parser->token.kind != EM_TOKEN_END && module->errors < 100 && !module->arena.failed) {
                const char *at = parser->token.text;
                if (module_item(parser)) continue;
                em_skip_statement(parser);
                if (em_is(parser, '{')) skip_block(parser);
                if (parser->token.text == at) em_advance(parser);
            }
        }
    } else {
        module->arena.failed = true;
    }
    free(parser->buckets);
    free(parser->operands);
    free(parser);
    return module->errors == 0 && !module->arena.failed;
}
