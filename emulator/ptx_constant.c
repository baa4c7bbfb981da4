/* Constant expressions: precedence climbing over 64-bit integers, and floating constants with a sign. Their results are folded at once. */
#include "emulator/ptx_parse.h"

#include <string.h>

static bool expression(em_parser *parser, int lowest, em_operand *result);

static double real_of(const em_operand *operand) {
    double value;
    memcpy(&value, &operand->value, sizeof value);
    return value;
}

static void set_real(em_operand *operand, double value) {
    operand->kind = EM_OPERAND_FLOAT;
    memcpy(&operand->value, &value, sizeof value);
}

static bool negate(em_parser *parser, em_operand *operand) {
    if (operand->kind == EM_OPERAND_INTEGER) operand->value = (int64_t)(0 - (uint64_t)operand->value);
    else if (operand->kind == EM_OPERAND_FLOAT32) return em_syntax(parser);
    else set_real(operand, -real_of(operand));
    return true;
}

static bool cast(em_parser *parser, em_operand *result) {
    bool is_signed = em_is_dot(parser, "s64");
    em_advance(parser);
    if (!em_expect(parser, ')') || !expression(parser, 12, result)) return false;
    if (result->kind != EM_OPERAND_INTEGER) return em_syntax(parser);
    result->negated = !is_signed; /* here: unsigned */
    return true;
}

static bool primary(em_parser *parser, em_operand *result) {
    const em_token token = parser->token;
    memset(result, 0, sizeof *result);
    switch (token.kind) {
    case EM_TOKEN_INTEGER:
        if (token.wide) {
            em_error(parser->module, token.line, "Integer constant '%.*s' does not fit 64 bits", (int)(token.length < 60 ? token.length : 60), token.text);
            return false;
        }
        result->kind = EM_OPERAND_INTEGER;
        result->value = (int64_t)token.value;
        result->negated = token.is_unsigned || result->value < 0;
        em_advance(parser);
        return true;
    case EM_TOKEN_FLOAT:
    case EM_TOKEN_FLOAT32:
        result->kind = token.kind == EM_TOKEN_FLOAT ? EM_OPERAND_FLOAT : EM_OPERAND_FLOAT32;
        result->value = (int64_t)token.value;
        em_advance(parser);
        return true;
    case EM_TOKEN_NAME:
        if (!em_is_name(parser, "WARP_SZ")) return em_syntax(parser);
        result->kind = EM_OPERAND_INTEGER;
        result->value = 32;
        em_advance(parser);
        return true;
    default: break;
    }
    if (em_accept(parser, '(')) {
        if (em_is_dot(parser, "s64") || em_is_dot(parser, "u64")) return cast(parser, result);
        return expression(parser, 0, result) && em_expect(parser, ')');
    }
    return em_syntax(parser);
}

static bool unary(em_parser *parser, em_operand *result) {
    char sign = parser->token.kind == EM_TOKEN_PUNCTUATION ? parser->token.punctuation : '\0';
    if (sign != '-' && sign != '+' && sign != '~' && sign != '!') return primary(parser, result);
    em_advance(parser);
    if (++parser->nesting > 200) return em_syntax(parser);
    bool good = unary(parser, result);
    parser->nesting--;
    if (!good) return false;
    if (sign == '-') return negate(parser, result);
    if (sign == '+') return true;
    if (result->kind != EM_OPERAND_INTEGER) return em_syntax(parser);
    result->value = sign == '~' ? ~result->value : !result->value;
    return true;
}

/* The operator at the token and how tightly it binds; two-letter ones are two tokens. */
static int operator_at(const em_parser *parser, char *sign, bool *twice) {
    if (parser->token.kind != EM_TOKEN_PUNCTUATION) return -1;
    char c = parser->token.punctuation;
    char next = parser->next.kind == EM_TOKEN_PUNCTUATION && parser->next.text == parser->token.text + 1 ? parser->next.punctuation : '\0';
    *sign = c;
    *twice = (next == c && strchr("&|<>=", c)) || (next == '=' && strchr("<>!=", c));
    bool equal = next == '=';
    switch (c) {
    case '*': case '/': case '%': return 11;
    case '+': case '-': return 10;
    case '<': if (*twice && !equal) return 9;
        if (equal) *sign = 'l';
        return 8;
    case '>': if (*twice && !equal) return 9;
        if (equal) *sign = 'g';
        return 8;
    case '=': return *twice ? 7 : -1;
    case '!': return *twice ? 7 : -1;
    case '&': return *twice ? 3 : 6;
    case '^': return 5;
    case '|': return *twice ? 2 : 4;
    default: return -1;
    }
}

static bool apply(em_parser *parser, em_operand *left, const em_operand *right, char sign, bool twice) {
    uint64_t a = (uint64_t)left->value, b = (uint64_t)right->value, r = 0;
    if (left->kind != EM_OPERAND_INTEGER || right->kind != EM_OPERAND_INTEGER) return em_syntax(parser);
    bool is_unsigned = left->negated || right->negated;
    if ((sign == '/' || sign == '%') && (b == 0 || (!is_unsigned && b == UINT64_MAX))) {
        if (b == 0) {
            em_error(parser->module, parser->token.line, "Division by zero in constant expression");
            return false;
        }
        r = sign == '/' ? 0 - a : 0;
    } else {
        switch (sign) {
        case '*': r = a * b; break;
        case '/': r = is_unsigned ? a / b : (uint64_t)(left->value / right->value); break;
        case '%': r = is_unsigned ? a % b : (uint64_t)(left->value % right->value); break;
        case '+': r = a + b; break;
        case '-': r = a - b; break;
        case '<': r = twice ? (b < 64 ? a << b : 0) : is_unsigned ? a < b : left->value < right->value; break;
        case '>': r = !twice ? (is_unsigned ? a > b : left->value > right->value) : b >= 64 ? 0 : is_unsigned ? a >> b : (uint64_t)(left->value >> b); break;
        case 'l': r = is_unsigned ? a <= b : left->value <= right->value; break;
        case 'g': r = is_unsigned ? a >= b : left->value >= right->value; break;
        case '=': r = a == b; break;
        case '!': r = a != b; break;
        case '&': r = twice ? a && b : a & b; break;
        case '^': r = a ^ b; break;
        default: r = twice ? a || b : a | b; break;
        }
    }
    left->value = (int64_t)r;
    left->negated = is_unsigned;
    return true;
}

static bool ternary(em_parser *parser, em_operand *result) {
    em_operand yes, no;
    em_advance(parser);
    if (!expression(parser, 0, &yes) || !em_expect(parser, ':') || !expression(parser, 0, &no)) return false;
    *result = result->value ? yes : no;
    return true;
}

static bool expression(em_parser *parser, int lowest, em_operand *result) {
    if (++parser->nesting > 200) return em_syntax(parser);
    bool good = unary(parser, result);
    while (good) {
        char sign;
        bool twice;
        int strength = operator_at(parser, &sign, &twice);
        if (strength < 0 || strength < lowest) break;
        em_advance(parser);
        if (twice) em_advance(parser);
        em_operand right;
        good = expression(parser, strength + 1, &right) && apply(parser, result, &right, sign, twice);
    }
    if (good && lowest == 0 && em_is(parser, '?') && result->kind == EM_OPERAND_INTEGER) good = ternary(parser, result);
    parser->nesting--;
    return good;
}

bool em_constant(em_parser *parser, em_operand *result) {
    parser->nesting = 0;
    bool good = expression(parser, 0, result);
    result->negated = false;
    return good;
}

bool em_constant_integer(em_parser *parser, int64_t *value) {
    em_operand operand;
    if (!em_constant(parser, &operand)) return false;
    if (operand.kind != EM_OPERAND_INTEGER) return em_syntax(parser);
    *value = operand.value;
    return true;
}
