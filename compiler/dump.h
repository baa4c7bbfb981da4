// The tree as text, for `quern emit --ast` and tests.
#ifndef QN__COMPILER_DUMP_H
#define QN__COMPILER_DUMP_H

#include "compiler/ast.h"
#include "ir/text.h"

// One line a node, children indented by two: kind, name, operator, value.
void qn__ast_dump_node(qn__text *out, const qn__ast *ast, qn__node_id id);

// All items of one source file.
void qn__ast_dump_file(qn__text *out, const qn__ast *ast, uint32_t file);

#endif
