// From tokens to the tree. Recursive descent with recovery at statements and items.
#ifndef QN__COMPILER_PARSER_H
#define QN__COMPILER_PARSER_H

#include "compiler/ast.h"
#include "compiler/lexer.h"

// Tokenises and parses one file; its items are appended to the tree. Errors go to the sink, and as much of the tree as
// could be understood is there. False when the file had to be given up (no memory, a limit, no valid UTF-8).
bool qn__parse(const qn__source *source, qn__ast *ast, qn__diagnostic_sink *sink);

#endif
