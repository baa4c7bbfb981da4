// Pairs brackets before parsing, so that the parser always sees balanced ones.
#ifndef QN__COMPILER_BRACKETS_H
#define QN__COMPILER_BRACKETS_H

#include "compiler/lexer.h"

enum { QN__NESTING_LIMIT = 200 };

// Reports brackets that are not closed, close nothing or do not match, puts missing ones in (QN__TOKEN_VIRTUAL) where
// they probably belong and takes surplus ones out. Afterwards every opening bracket's `value` is the number of tokens to its
// partner. False when parsing makes no sense (nested too deep, no memory).
bool qn__match_brackets(qn__tokens *tokens, qn__arena *arena, qn__diagnostic_sink *sink);

#endif
