/* What the parser's files share. */
#ifndef EM_PTX_PARSE_H
#define EM_PTX_PARSE_H

#include "emulator/ptx.h"
#include "emulator/ptx_lex.h"

typedef enum em_symbol_kind { EM_SYMBOL_REGISTER, EM_SYMBOL_VARIABLE, EM_SYMBOL_FUNCTION, EM_SYMBOL_LABEL } em_symbol_kind;

typedef struct em_symbol {
    struct em_symbol *next_in_bucket, *next_in_scope;
    const char *name;
    size_t length;
    uint32_t hash, scope;
    em_symbol_kind kind;
    uint8_t type, width;   /* of registers; width: elements */
    uint32_t base, count;  /* registers; count: of a <n> range; 0: one register */
    em_variable *variable;
    em_function *function;
    em_label *label;
} em_symbol;

enum { EM_BUCKETS = 1 << 14, EM_SCOPES = 64, EM_OPERANDS = 512 };

typedef struct em_parser {
    em_module *module;
    em_lexer lexer;
    em_token token, next;       /* the current one and the one behind it */
    em_function *function;      /* whose body is being read */
    em_symbol **buckets;
    em_symbol *scopes[EM_SCOPES]; /* the symbols of each open scope; 0: the module */
    uint32_t scope_ids[EM_SCOPES];
    uint32_t depth, scope_count;
    uint32_t file, source;      /* of the last .loc */
    em_operand *operands;       /* EM_OPERANDS of them, for the statement being read */
    uint32_t nesting;
} em_parser;

void em_advance(em_parser *parser);
bool em_is(const em_parser *parser, char punctuation);
bool em_is_dot(const em_parser *parser, const char *word);
bool em_is_name(const em_parser *parser, const char *word);
bool em_accept(em_parser *parser, char punctuation);
bool em_accept_dot(em_parser *parser, const char *word);
bool em_expect(em_parser *parser, char punctuation); /* reports */
bool em_syntax(em_parser *parser);                   /* reports a syntax error at the token; false */
char *em_copy(em_parser *parser, const char *text, size_t length);
bool em_name(em_parser *parser, const char **name);  /* a name in the arena; reports */

em_symbol *em_symbol_add(em_parser *parser, const char *name, size_t length, em_symbol_kind kind); /* NULL: taken (reported) or no memory */
em_symbol *em_symbol_find(em_parser *parser, const char *name, size_t length);
em_symbol *em_symbol_here(em_parser *parser, const char *name, size_t length, em_symbol_kind kind); /* in the innermost scope only */
bool em_register_find(em_parser *parser, const char *name, size_t length, em_symbol **symbol, uint32_t *reg);
bool em_scope_open(em_parser *parser);
void em_scope_close(em_parser *parser); /* labels without definition move outwards */
/* A list of targets or a prototype, which comes before its use: looked for outwards. */
em_label *em_list_use(em_parser *parser, const char *name, size_t length);
em_label *em_label_use(em_parser *parser, const char *name, size_t length);
bool em_label_define(em_parser *parser, const em_token *token);

bool em_type_parse(em_parser *parser, em_type *type); /* the current token is a type: takes it */
/* .reg .local ... ; at its space. The variables join the module's or the function's. */
bool em_declare(em_parser *parser, bool external, bool visible);
bool em_parameters(em_parser *parser, em_function *owner, bool formal, em_variable ***list, uint32_t *count);
bool em_constant(em_parser *parser, em_operand *result); /* a constant expression: INTEGER, FLOAT or FLOAT32 */
bool em_constant_integer(em_parser *parser, int64_t *value);
bool em_body(em_parser *parser, em_function *function);
bool em_prototype_directive(em_parser *parser, em_label *label);
bool em_loc(em_parser *parser);
bool em_section(em_parser *parser);
void em_skip_statement(em_parser *parser);

#endif
