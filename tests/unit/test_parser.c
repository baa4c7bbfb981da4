// The tree that the parser makes, recovery after errors, limits, imports.
#include <criterion/criterion.h>
#include <string.h>

#include "compiler/dump.h"
#include "compiler/loader.h"

typedef struct fixture {
    qn__arena *arena;
    qn__program program;
    bool parsed;
    qn__text text;
} fixture;

typedef struct file {
    const char *path, *text;
} file;

static bool read_file(void *user, const char *path, const char **text, size_t *length, const char **message) {
    for (const file *f = user; f->path; f++) {
        if (strcmp(f->path, path)) continue;
        *text = f->text;
        *length = strlen(f->text);
        return true;
    }
    *message = "no such file";
    return false;
}

static fixture *parse_with(const char *text, size_t length, const file *files, size_t limit) {
    fixture *f = calloc(1, sizeof *f);
    cr_assert(f);
    f->arena = qn__arena_create(limit);
    cr_assert(qn__program_init(&f->program, f->arena));
    qn__import_reader reader = {.user = (void *)(uintptr_t)files, .read = read_file};
    f->parsed = qn__program_parse(&f->program, "dir/main.qn", text, length, files ? &reader : NULL, true);
    qn__diagnostic_sort(&f->program.sink);
    return f;
}

static fixture *parse(const char *text) { return parse_with(text, strlen(text), NULL, 0); }

static void finish(fixture *f) {
    qn__text_free(&f->text);
    qn__arena_destroy(f->arena);
    free(f);
}

// The tree of the first statement of a kernel, or of an expression, in one line: (kind name child child).
static void add_node(qn__text *out, const qn__ast *ast, qn__node_id id) {
    const qn__ast_node *node = qn__ast_get(ast, id);
    if (!id) {
        qn__text_add_string(out, "_");
        return;
    }
    const char *text = node->name ? qn__name_text(ast->names, node->name) : NULL;
    if (node->kind == QN__AST_BINARY) text = qn__ast_binary_text((qn__ast_binary)node->op);
    if (node->kind == QN__AST_UNARY) text = qn__ast_unary_text((qn__ast_unary)node->op);
    if (node->kind == QN__AST_ASSIGN) text = qn__ast_assign_text((qn__ast_assign)node->op);
    if (node->kind == QN__AST_NAME || node->kind == QN__AST_BINDING) {
        qn__text_add_string(out, text);
    } else if (node->kind == QN__AST_INTEGER) {
        qn__text_format(out, "%llu", (unsigned long long)node->value.integer);
    } else {
        bool operator = node->kind == QN__AST_BINARY || node->kind == QN__AST_UNARY;
        qn__text_format(out, "(%s", operator ? text : qn__ast_kind_name((qn__ast_kind)node->kind));
        if (!operator && text) qn__text_format(out, " %s", text);
        for (uint32_t i = 0; i < node->child_count; i++) {
            qn__text_add_char(out, ' ');
            add_node(out, ast, qn__ast_child(ast, id, i));
        }
        qn__text_add_char(out, ')');
    }
}

static void expect_statements(const char *body, const char *expected) {
    qn__text source = QN__TEXT_EMPTY;
    qn__text_format(&source, "kernel k() {\n%s\n}\n", body);
    fixture *f = parse(qn__text_bytes(&source));
    if (!f->parsed) qn__diagnostic_render_all(&f->text, &f->program.sink, (qn__render_options){0});
    cr_assert(f->parsed, "%s: %s", body, qn__text_bytes(&f->text));
    const qn__ast *ast = f->program.ast;
    qn__node_id block = qn__ast_child(ast, ast->items[0].node, QN__KERNEL_BODY);
    for (uint32_t i = 0; i < qn__ast_count(ast, block); i++) {
        if (i) qn__text_add_char(&f->text, '\n');
        add_node(&f->text, ast, qn__ast_child(ast, block, i));
    }
    cr_assert_str_eq(qn__text_bytes(&f->text), expected, "%s\ngives %s\nnot   %s", body, qn__text_bytes(&f->text), expected);
    qn__text_free(&source);
    finish(f);
}

static void expect_value(const char *expression, const char *expected) {
    qn__text source = QN__TEXT_EMPTY;
    qn__text_format(&source, "const c = %s\n", expression);
    fixture *f = parse(qn__text_bytes(&source));
    cr_assert(f->parsed, "%s", expression);
    add_node(&f->text, f->program.ast, qn__ast_child(f->program.ast, f->program.ast->items[0].node, QN__CONST_VALUE));
    cr_assert_str_eq(qn__text_bytes(&f->text), expected, "%s gives %s", expression, qn__text_bytes(&f->text));
    qn__text_free(&source);
    finish(f);
}

Test(parser, precedence) {
    expect_value("a + b * c", "(+ a (* b c))");
    expect_value("a - b - c", "(- (- a b) c)");
    expect_value("-a * b", "(* (- a) b)");
    expect_value("a or b and not c == d", "(or a (and b (not (== c d))))");
    expect_value("not a and b", "(and (not a) b)");
    expect_value("a | b ^ c & d << e + f", "(| a (^ b (& c (<< d (+ e f)))))");
    expect_value("a & b == c", "(== (& a b) c)");
    expect_value("(a + b) * c", "(* (+ a b) c)");
    expect_value("- - ~a", "(- (- (~ a)))");
    expect_value("f(a, g(b))", "(call f a (call g b))");
    expect_value("a[i, j + 1] % 2", "(% (index a i (+ j 1)) 2)");
    expect_value("if a { b } else if c { d } else { e }",
                 "(if_value a (block_value (block) (list b)) (if_value c (block_value (block) (list d)) "
                 "(block_value (block) (list e))))");
}

Test(parser, reductions) {
    expect_value("min(a, b)", "(call min a b)");
    expect_value("min(i: a[i])", "(reduction min (list (range i _ _)) (index a i) _)");
    expect_value("sum(i, j in 0..n: a where b)", "(reduction sum (list (range i _ _) (range j 0 n)) a b)");
    expect_value("sum(f(i, {let x = 1; x}))", "(call sum (call f i (block_value (block (let (list x) _ (list 1))) (list x))))");
    expect_value("reduce(f, 0, i: a)", "(reduce f 0 (list (range i _ _)) a _)");
    expect_value("scan(sum, i: a)", "(scan sum _ (range i _ _) a)");
    expect_value("exscan(f, 0, i in 0..9: a)", "(scan f 0 (range i 0 9) a)");
    expect_value("keep(i: a, b where c)", "(keep (list (range i _ _)) (list a b) c)");
    expect_value("keep(a)", "(call keep a)");
}

Test(parser, lines) {
    expect_statements("a = b\n  + c", "(assign = (list a) (list (+ b c)) _ _)");
    expect_statements("a = b +\n c", "(assign = (list a) (list (+ b c)) _ _)");
    expect_statements("a = (b\n- c)", "(assign = (list a) (list (- b c)) _ _)");
    expect_statements("a = b; c = d", "(assign = (list a) (list b) _ _)\n(assign = (list c) (list d) _ _)");
    expect_statements("a = b\nand c", "(assign = (list a) (list (and b c)) _ _)");
    expect_statements("a[i]\n= b", "(assign = (list (index a i)) (list b) _ _)");
    expect_statements("a = b\nelse c", "(assign = (list a) (list b) _ c)");
}

Test(parser, domains) {
    expect_statements("z[i] = x for i in 1..n-1 else y",
                      "(assign = (list (index z i)) (list x) (list (range i 1 (- n 1))) y)");
    expect_statements("z[i] = x\n for i in 1..n, j in 0..\n m\n else y",
                      "(assign = (list (index z i)) (list x) (list (range i 1 n) (range j 0 m)) y)");
    expect_statements("z[i] = x\nfor i in 1..n {\n z[i] = y\n}",
                      "(assign = (list (index z i)) (list x) _ _)\n"
                      "(for_block (list (range i 1 n)) (block (assign = (list (index z i)) (list y) _ _)))");
    expect_statements("z[i] = x\nfor i\n{\n}", "(assign = (list (index z i)) (list x) _ _)\n(for_block (list (range i _ _)) (block))");
}

Test(parser, assignments) {
    expect_statements("h[i] min= a\nh and= b\nh or= c\nh -= d\nh &= e",
                      "(assign min= (list (index h i)) (list a) _ _)\n(assign and= (list h) (list b) _ _)\n"
                      "(assign or= (list h) (list c) _ _)\n(assign -= (list h) (list d) _ _)\n(assign &= (list h) (list e) _ _)");
    expect_statements("a[i], b[i] = c, d", "(assign = (list (index a i) (index b i)) (list c d) _ _)");
}

Test(parser, statements) {
    expect_statements("let a = b\nlet c, d: f32 = e, f\nlet g[i, j]: f32 = h for i in 0..n else k\nlet m: f32[n]",
                      "(let (list a) _ (list b))\n(let (list c d) (type f32) (list e f))\n"
                      "(let_array g (list i j) (type f32) h (list (range i 0 n)) k)\n(let_declare m (type f32 n))");
    expect_statements("loop t in 0..n { swap(u, v) }\nloop while a { }",
                      "(loop_range (range t 0 n) (block (swap u v)))\n(loop_while a (block))");
    expect_statements("if a { b = c } else if d { } else { }",
                      "(if a (block (assign = (list b) (list c) _ _)) (if d (block) (block)))");
    expect_statements("for i { var x = 0; var y: f32[9]; while a { break }; for q in 0..9 { continue } }",
                      "(for_block (list (range i _ _)) (block (var x _ 0) (var y (type f32 9) _) "
                      "(while a (block (break))) (for (range q 0 9) (block (continue)))))");
    expect_statements("z = { if a { b = c }\n d }",
                      "(assign = (list z) (list (block_value (block (if a (block (assign = (list b) (list c) _ _)) _)) (list d))) _ _)");
    expect_statements("z = { if a { b } else { c } }",
                      "(assign = (list z) (list (block_value (block) (list (if_value a (block_value (block) (list b)) "
                      "(block_value (block) (list c)))))) _ _)");
}

Test(parser, items_have_consecutive_nodes) {
    fixture *f = parse("const a = 1\nfn f(x: f64) -> f64 = x\n@fast kernel k(x: f32[n] edge clamp, inout y: f32[n]) -> z: f32[?m] { }\n");
    cr_assert(f->parsed);
    const qn__ast *ast = f->program.ast;
    cr_assert_eq(ast->item_count, 3);
    for (size_t i = 0; i + 1 < ast->item_count; i++) cr_assert_eq(ast->items[i].node + 1, ast->items[i + 1].first);
    qn__node_id params = qn__ast_child(ast, ast->items[2].node, QN__KERNEL_PARAMS);
    cr_assert_eq(qn__ast_get(ast, qn__ast_child(ast, params, 0))->op, QN__EDGE_CLAMP);
    cr_assert(qn__ast_get(ast, qn__ast_child(ast, params, 1))->flags & QN__AST_INOUT);
    qn__span name = qn__ast_name_span(ast, qn__ast_child(ast, params, 1));
    cr_assert(!strncmp(f->program.sources.files[0]->text + name.begin, "y:", 2) && name.end == name.begin + 1);
    finish(f);
}

Test(parser, several_errors_in_one_run) {
    fixture *f = parse("kernel a() {\n x = = 1\n y = 2\n z = ) 3\n}\nkernel b( {\n}\nkernel c() {\n x = 1 +\n}\n");
    cr_assert(!f->parsed);
    cr_assert_geq(f->program.sink.count, 4);
    finish(f);
}

static void expect_code(const char *text, size_t length, const char *code) {
    fixture *f = parse_with(text, length, NULL, 0);
    bool found = false;
    for (size_t i = 0; i < f->program.sink.count; i++)
        found |= !strcmp(qn__diagnostic_code(f->program.sink.items[i]->id), code);
    cr_assert(!f->parsed && found, "no %s: %.40s", code, text);
    finish(f);
}

// A hundred thousand of anything ends in a message, not in a crash.
Test(parser, deep_and_long_input) {
    static const struct { const char *head, *part, *code; } cases[] = {
        {"const a = ", "(", "E0802"},        {"const a = ", "-", "E0802"},          {"const a = ", "not ", "E0802"},
        {"const a = ", "{", "E0802"},        {"const a = ", "f(", "E0802"},         {"const a = ", "a[", "E0802"},
        {"const a = ", "if a {", "E0802"},   {"const a = 1", " + 1", "E0805"},      {"kernel k() {", "if a {", "E0802"},
        {"kernel k() { if a { }", " else if a { }", "E0802"},                       {"const a = 1", " and 1", "E0805"},
        {"kernel k() { ", ")", "E0211"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        qn__text text = QN__TEXT_EMPTY;
        qn__text_add_string(&text, cases[i].head);
        for (int n = 0; n < 100000; n++) qn__text_add_string(&text, cases[i].part);
        expect_code(qn__text_bytes(&text), text.length, cases[i].code);
        qn__text_free(&text);
    }
}

Test(parser, long_lists_are_fine) {
    qn__text text = QN__TEXT_EMPTY;
    qn__text_add_string(&text, "const a = f(0");
    for (int n = 0; n < 100000; n++) qn__text_add_string(&text, ", 1");
    qn__text_add_string(&text, ")\n");
    fixture *f = parse_with(qn__text_bytes(&text), text.length, NULL, 0);
    cr_assert(f->parsed);
    finish(f);
    qn__text_free(&text);
}

Test(parser, little_memory_is_reported) {
    const char *text = "kernel k(x: f32[n]) -> z: f32[n] {\n z[i] = x[i] + 1.0 * (2.0 - x[i])\n let a = 1\n}\n";
    for (size_t limit = 8192; limit < 65536; limit += 256) {
        qn__arena *arena = qn__arena_create(limit);
        qn__program program;
        if (qn__program_init(&program, arena)) {
            bool parsed = qn__program_parse(&program, "a.qn", text, strlen(text), NULL, true);
            cr_assert_eq(parsed, !qn__arena_failed(arena));
            cr_assert(parsed || program.sink.count);
        }
        qn__arena_destroy(arena);
    }
}

Test(imports, each_file_once_and_before_its_user) {
    static const file files[] = {{"dir/a.qn", "import \"sub/c.qn\"\nconst a = 1"},
                                 {"dir/b.qn", "import \"./sub/../sub/c.qn\"\nconst b = 1"},
                                 {"dir/sub/c.qn", "import \"../../d.qn\"\nconst c = 1"},
                                 {"d.qn", "const d = 1"},
                                 {NULL, NULL}};
    const char *text = "import \"a.qn\"\nimport \"b.qn\"\nimport \"a.qn\"\nconst m = 1";
    fixture *f = parse_with(text, strlen(text), files, 0);
    cr_assert(f->parsed);
    cr_assert_eq(f->program.sources.count, 5);
    const qn__ast *ast = f->program.ast;
    for (size_t i = 0; i < ast->item_count; i++) {
        const qn__ast_node *node = qn__ast_get(ast, ast->items[i].node);
        if (node->kind == QN__AST_CONST) qn__text_add_string(&f->text, qn__name_text(ast->names, node->name));
    }
    cr_assert_str_eq(qn__text_bytes(&f->text), "dcabm");
    finish(f);
}

Test(imports, cycles_and_missing_files) {
    static const file files[] = {{"dir/a.qn", "import \"b.qn\""}, {"dir/b.qn", "import \"a.qn\""}, {"dir/main.qn", ""}, {NULL, NULL}};
    fixture *f = parse_with("import \"a.qn\"", 13, files, 0);
    cr_assert(!f->parsed && f->program.sink.items[0]->id == QN__DIAG_IMPORT_CYCLE);
    finish(f);
    f = parse_with("import \"main.qn\"", 16, files, 0);
    cr_assert(!f->parsed && f->program.sink.items[0]->id == QN__DIAG_IMPORT_CYCLE);
    finish(f);
    f = parse_with("import \"x.qn\"", 13, files, 0);
    cr_assert(!f->parsed && f->program.sink.items[0]->id == QN__DIAG_IMPORT_UNREADABLE);
    finish(f);
    f = parse("import \"x.qn\"");
    cr_assert(!f->parsed && f->program.sink.items[0]->id == QN__DIAG_IMPORT_UNREADABLE);
    finish(f);
}

static void expect_prelude(const char *text, bool whole, const char *with, const char *without) {
    qn__arena *arena = qn__arena_create(0);
    qn__program program;
    cr_assert(qn__program_init(&program, arena));
    program.whole_prelude = whole;
    cr_assert(qn__program_parse(&program, "a.qn", text, strlen(text), NULL, false));
    bool found_with = !with, found_without = false;
    for (size_t i = 0; i < program.sources.count; i++) {
        const qn__source *source = program.sources.files[i];
        cr_assert_eq(source->embedded, source->id != program.ast->main_file);
        found_with |= with && source->embedded && !strcmp(source->path, with);
        found_without |= without && source->embedded && !strcmp(source->path, without);
    }
    cr_assert(found_with && !found_without, "%s", text);
    qn__arena_destroy(arena);
}

Test(prelude, only_what_is_named_is_loaded) {
    expect_prelude("", true, "prelude/exp.qn", NULL);
    expect_prelude("", true, "prelude/trig.qn", NULL);
    expect_prelude("", false, NULL, "prelude/exp.qn");
    expect_prelude("const a = exp(1.0)", false, "prelude/exp.qn", "prelude/trig.qn");
    expect_prelude("const a = exp_f32(1.0)", false, "prelude/exp.qn", "prelude/trig.qn");
}
