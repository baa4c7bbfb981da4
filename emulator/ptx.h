/* A parsed PTX module: what the parser makes, the checker completes and the translator reads. All of it lies in the module's arena. */
#ifndef EM_PTX_H
#define EM_PTX_H

#include "emulator/execute.h"

typedef enum em_type {
    EM_NONE,
#define TYPE(ENUM, name, class, bits) EM_##ENUM,
#include "emulator/ptx.def"
#undef TYPE
    EM_TYPE_COUNT
} em_type;

typedef enum em_class { EM_CLASS_NONE, EM_CLASS_PREDICATE, EM_CLASS_BITS, EM_CLASS_UNSIGNED, EM_CLASS_SIGNED, EM_CLASS_FLOAT } em_class;

typedef enum em_group {
#define GROUP(ENUM) EM_GROUP_##ENUM,
#include "emulator/ptx.def"
#undef GROUP
    EM_GROUP_COUNT
} em_group;

typedef enum em_modifier {
    EM_MOD_NONE,
#define MODIFIER(ENUM, name, group) EM_MOD_##ENUM,
#include "emulator/ptx.def"
#undef MODIFIER
    EM_MODIFIER_COUNT
} em_modifier;

typedef enum em_special {
#define SPECIAL(ENUM, name, bits, ptx, sm) EM_SPECIAL_##ENUM,
#include "emulator/ptx.def"
#undef SPECIAL
    EM_SPECIAL_COUNT
} em_special;

typedef enum em_operation {
#define OPERATION(ENUM) EM_OP_##ENUM,
#include "emulator/ptx.def"
#undef OPERATION
    EM_OP_COUNT
} em_operation;

typedef struct em_row {
    const char *mnemonic, *modifiers, *types, *operands;
    uint16_t operation, ptx, sm;
} em_row;

em_class em_type_class(em_type type);
uint32_t em_type_bits(em_type type);
const char *em_type_name(em_type type);
const char *em_modifier_name(em_modifier modifier);
em_group em_modifier_group(em_modifier modifier);
extern const em_row em_rows[];
extern const size_t em_row_count;
bool em_special_find(const char *name, size_t length, em_special *special);
uint32_t em_special_bits(em_special special);

/* Memory that is released all at once. */
typedef struct em_arena { struct em_chunk *chunks; size_t total; bool failed; } em_arena;
void *em_arena_allocate(em_arena *arena, size_t size); /* zeroed; NULL and `failed`: no memory, or more than the limit */
void em_arena_release(em_arena *arena);

typedef enum em_space { EM_GENERIC, EM_SPACE_REG, EM_SPACE_GLOBAL, EM_SPACE_SHARED, EM_SPACE_LOCAL, EM_SPACE_CONST, EM_SPACE_PARAM } em_space;

typedef struct em_variable em_variable;

/* Where a variable's bytes get an address. */
typedef struct em_relocation {
    struct em_relocation *next;
    uint64_t offset, addend;
    uint32_t bytes, shift;       /* how many bytes, and which of the address (mask()) */
    const em_variable *variable; /* or: */
    em_function *function;
    uint32_t line;
} em_relocation;

struct em_variable {
    em_variable *next;           /* in its owner's list */
    const char *name;
    em_space space;
    uint8_t type;
    bool external, visible, unsized /* the [] of dynamic shared memory, or external */, formal /* parameter of a .func */, listed /* parameter of either kind */;
    uint64_t size, align;
    uint8_t *data;               /* initial bytes; NULL: zeros */
    em_relocation *relocations;
    uint32_t frame_offset;       /* formal .reg parameters, once translated */
    uint64_t address;            /* global, const: address; others: offset in their space */
    uint32_t line;
};

typedef enum em_operand_kind {
    EM_OPERAND_NONE, EM_OPERAND_REGISTER, EM_OPERAND_INTEGER, EM_OPERAND_FLOAT /* 64-bit or decimal */, EM_OPERAND_FLOAT32 /* 0f */,
    EM_OPERAND_SPECIAL, EM_OPERAND_VARIABLE, EM_OPERAND_FUNCTION, EM_OPERAND_LABEL, EM_OPERAND_VECTOR, EM_OPERAND_ADDRESS, EM_OPERAND_SINK
} em_operand_kind;

typedef struct em_operand {
    uint8_t kind, type;          /* type: of the register */
    bool negated;                /* !%p */
    bool joined;                 /* stands behind | */
    uint8_t base;                /* ADDRESS: kind of the base: REGISTER, VARIABLE or INTEGER */
    uint8_t lane;                /* REGISTER: 1 + element of a .v2/.v4 register it names; 0: whole */
    uint32_t count;              /* VECTOR */
    uint32_t reg;
    int64_t value;               /* INTEGER, bits of FLOATs, ADDRESS's offset */
    const em_variable *variable;
    em_function *function;
    struct em_label *label;
    em_special special;
    struct em_operand *elements;
} em_operand;

/* A statement that takes part in control flow. */
typedef struct em_instruction {
    const em_row *row;           /* NULL: not known (an error was reported) */
    uint8_t operation;
    uint8_t type[4];
    uint8_t modifier[EM_GROUP_COUNT]; /* em_modifier; FLAG: unused, see flags */
    uint8_t space2;
    uint64_t flags[(EM_MODIFIER_COUNT + 63) / 64];
    em_operand *operands;
    uint32_t operand_count;
    bool guarded, guard_negated;
    uint32_t guard;              /* register */
    uint32_t line, file, source; /* .loc's file and line; 0: none */
    struct em_call *call;
} em_instruction;

static inline bool em_has(const em_instruction *instruction, em_modifier modifier) {
    return instruction->flags[modifier / 64] >> (modifier % 64) & 1;
}

typedef struct em_label {
    struct em_label *next;
    struct em_label *same;       /* a use in an inner block of this outer label */
    const char *name;
    bool defined;
    uint32_t instruction;        /* index of what follows it */
    uint32_t line;               /* first use or definition */
    struct em_operand *targets;  /* of .branchtargets */
    uint32_t target_count;
    const struct em_prototype *prototype; /* of .callprototype */
} em_label;

/* The shape of a function's parameters: its own, or a .callprototype's. */
typedef struct em_prototype {
    em_variable **results, **formals;  /* REG variables have a register in `address` */
    uint32_t result_count, formal_count;
} em_prototype;

typedef struct em_call {
    em_operand *results, *arguments;
    uint32_t result_count, argument_count;
    em_operand target;           /* FUNCTION or REGISTER */
    em_label *prototype;         /* of an indirect call */
} em_call;

struct em_function {
    em_function *next;
    em_module *module;
    const char *name;
    bool entry, defined, external, visible, weak, noreturn;
    uint32_t line;
    em_prototype prototype;
    em_variable *variables;      /* .param, .local and .shared declared inside, parameters included */
    uint8_t *register_types;     /* by register */
    uint8_t *register_widths;    /* elements of a vector register; 1: none */
    uint32_t register_count;
    em_instruction *code;
    uint32_t count, capacity;
    em_label *labels;
    uint32_t maxntid[3], reqntid[3], minnctapersm, maxnreg;
    bool has_maxntid, has_reqntid;
    size_t parameter_bytes;
    struct em_code *translated;
    uint32_t number;             /* among the module's functions */
    em_function_info info;
    size_t *offsets;             /* of an entry's parameters */
    uint32_t dynamic_align;      /* of dynamic shared memory */
    uint64_t local_stride;       /* local memory of a thread, callees included */
};

struct em_module {
    em_arena arena;
    em_memory *memory;
    em_device device;
    em_text *log;
    uint32_t version, target;    /* 83, 80 */
    bool debug;
    em_function *functions, **functions_tail;
    em_variable *variables, **variables_tail;
    const char **files; uint32_t file_count;
    uint32_t shared_static;      /* bytes of module-level shared variables */
    uint32_t slots;              /* places that remember the last block an access hit */
    uint32_t errors;
    em_status status;
    uint32_t function_count;
};

__attribute__((format(printf, 3, 4))) void em_error(em_module *module, uint32_t line, const char *format, ...);

bool em_parse(em_module *module, const char *text, size_t length);
/* Finds the form of an instruction among the rows and checks its operands; reports what is wrong. */
bool em_check(em_module *module, em_function *function, em_instruction *instruction, const char *mnemonic, const char *const *words, uint32_t word_count);
bool em_check_function(em_module *module, em_function *function); /* what needs the whole function */
uint32_t em_registers_estimate(const em_function *function);
bool em_translate(em_module *module, em_function *function);
void em_translated_free(em_function *function);

#endif
