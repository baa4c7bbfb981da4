/* Finds the row of the table that an instruction's modifiers fit, and says what is wrong where none does. */
#include "emulator/ptx_check.h"

#include <string.h>

/* The words in capitals that are not one whole group. */
static bool in_set(const char *word, size_t length, em_modifier modifier) {
    em_group group = em_modifier_group(modifier);
#define WORD(text) (length == sizeof text - 1 && !memcmp(word, text, length))
    if (WORD("RND")) return group == EM_GROUP_RND && modifier != EM_MOD_RNA;
    if (WORD("IRND")) return group == EM_GROUP_IRND;
    if (WORD("CMP")) return group == EM_GROUP_CMP;
    if (WORD("FPCMP")) return group == EM_GROUP_FCMP || (group == EM_GROUP_CMP && modifier < EM_MOD_LO);
    if (WORD("BOOL")) return group == EM_GROUP_BOOL;
    if (WORD("SPACE") || WORD("SPACE2")) return group == EM_GROUP_SPACE;
    if (WORD("COP")) return group == EM_GROUP_COP;
    if (WORD("WCOP")) return group == EM_GROUP_WCOP;
    if (WORD("VEC")) return group == EM_GROUP_VEC;
    if (WORD("SEM")) return group == EM_GROUP_SEM && modifier >= EM_MOD_RELAXED;
    if (WORD("FENCE")) return modifier == EM_MOD_SC || (group == EM_GROUP_SEM && modifier >= EM_MOD_ACQUIRE);
    if (WORD("SCOPE")) return group == EM_GROUP_SCOPE;
    if (WORD("MSCOPE2")) return modifier == EM_MOD_CTA || modifier == EM_MOD_GL || modifier == EM_MOD_SYS;
    if (WORD("EVICT")) return group == EM_GROUP_EVICT;
    if (WORD("EVICT2")) return group == EM_GROUP_EVICT2;
    if (WORD("PREFETCH")) return group == EM_GROUP_PREFETCH;
    if (WORD("AOP")) return group == EM_GROUP_AOP;
    if (WORD("REDOP")) return modifier == EM_MOD_A_MIN || modifier == EM_MOD_A_MAX || modifier == EM_MOD_A_ADD;
    if (WORD("TEST")) return group == EM_GROUP_TEST;
    if (WORD("SHUFFLE")) return group == EM_GROUP_SHUFFLE;
    if (WORD("PRMT")) return group == EM_GROUP_PRMT;
    if (WORD("SHAPE")) return group == EM_GROUP_SHAPE;
    if (WORD("NUM")) return group == EM_GROUP_NUM;
    if (WORD("DIR")) return group == EM_GROUP_DIR;
    if (WORD("CLAMP")) return group == EM_GROUP_CLAMP;
    if (WORD("LEVEL")) return group == EM_GROUP_LEVEL;
#undef WORD
    return false;
}

/* The n-th list of a row's types has this one. iN stands for uN and sN. */
static bool type_listed(const char *list, uint32_t number, const char *name) {
    for (; number; number--) {
        list = strchr(list, '/');
        if (!list) return false;
        list++;
    }
    size_t length = strlen(name);
    while (*list && *list != '/') {
        size_t size = strcspn(list, " /");
        if (size == length) {
            bool same = !memcmp(list, name, length);
            bool either = list[0] == 'i' && (name[0] == 'u' || name[0] == 's') && !memcmp(list + 1, name + 1, length - 1);
            if (same || either) return true;
        }
        list += size;
        while (*list == ' ') list++;
    }
    return false;
}

static em_type type_named(const char *name) {
    for (int k = 1; k < EM_TYPE_COUNT; k++) {
        if (!strcmp(em_type_name((em_type)k), name)) return (em_type)k;
    }
    return EM_NONE;
}

static em_modifier modifier_named(const char *name) {
    for (int k = 1; k < EM_MODIFIER_COUNT; k++) {
        if (!strcmp(em_modifier_name((em_modifier)k), name)) return (em_modifier)k;
    }
    return EM_MOD_NONE;
}

typedef struct trial { uint32_t matched; bool types; } trial;

static void take(em_instruction *instruction, em_modifier modifier, bool second) {
    if (!modifier) return;
    instruction->flags[modifier / 64] |= (uint64_t)1 << (modifier % 64);
    if (second) instruction->space2 = (uint8_t)modifier;
    else if (em_modifier_group(modifier) != EM_GROUP_FLAG) instruction->modifier[em_modifier_group(modifier)] = (uint8_t)modifier;
}

/* The pattern's words: where each begins, how long it is, whether it may be absent, whether an instruction's word has taken it. */
typedef struct slot { const char *text; size_t size; bool optional, taken, type; } slot;

enum { SLOTS = 20 };

static uint32_t slots_of(const char *pattern, slot *slots) {
    uint32_t count = 0;
    while (*pattern && count < SLOTS) {
        size_t length = strcspn(pattern, " ");
        bool optional = pattern[length - 1] == '?';
        slots[count] = (slot){.text = pattern, .size = length - optional, .optional = optional};
        slots[count].type = slots[count].size == 1 && *pattern >= 'T' && *pattern <= 'W';
        count++;
        pattern += length;
        while (*pattern == ' ') pattern++;
    }
    return count;
}

/* Whether the word fits the slot; if so the instruction gets it. */
static bool fits(const em_row *row, em_instruction *instruction, const slot *place, const char *word, em_type type, trial *attempt) {
    const char *text = place->text;
    if (place->type) {
        uint32_t number = (uint32_t)(*text - 'T');
        if (!type) return false;
        if (!type_listed(row->types, number, word)) {
            attempt->types = true;
            return false;
        }
        instruction->type[number] = (uint8_t)type;
        return true;
    }
    bool group = place->size > 1 && text[0] >= 'A' && text[0] <= 'Z' && text[1] >= 'A' && text[1] <= 'Z';
    if (!group) {
        if (strlen(word) != place->size || memcmp(word, text, place->size) != 0) return false;
        take(instruction, modifier_named(word), false);
        return true;
    }
    em_modifier modifier = modifier_named(word);
    if (!modifier || !in_set(text, place->size, modifier)) return false;
    take(instruction, modifier, place->size == 6 && !memcmp(text, "SPACE2", 6));
    return true;
}

/* Fills the instruction's types and modifiers where all words fit. As for ptxas the order of modifiers does not matter, that of types does
 * (and of mma's layouts). */
static bool match_row(const em_row *row, em_instruction *instruction, const char *const *words, uint32_t count, trial *attempt) {
    slot slots[SLOTS];
    uint32_t slot_count = slots_of(row->modifiers, slots), first = 0;
    memset(instruction->type, 0, sizeof instruction->type);
    memset(instruction->modifier, 0, sizeof instruction->modifier);
    memset(instruction->flags, 0, sizeof instruction->flags);
    *attempt = (trial){0};
    for (; attempt->matched < count; attempt->matched++) {
        const char *word = words[attempt->matched];
        em_type type = type_named(word);
        uint32_t k = first;
        while (k < slot_count && (slots[k].taken || !fits(row, instruction, &slots[k], word, type, attempt))) {
            if (slots[k].type && !slots[k].taken && type) k = slot_count; /* types come in order */
            else k++;
        }
        if (k >= slot_count) return false;
        slots[k].taken = true;
        if (row->operation == EM_OP_MMA) first = k + 1;
    }
    for (uint32_t k = 0; k < slot_count; k++) {
        if (!slots[k].taken && !slots[k].optional) return false;
    }
    return true;
}

/* Why no row fits: the word where the best attempt stopped. */
static void complain(em_module *module, const em_instruction *instruction, const char *mnemonic, const char *const *words, uint32_t count, trial best) {
    uint32_t line = instruction->line;
    for (uint32_t k = 0; k < count; k++) {
        if (!type_named(words[k]) && !modifier_named(words[k])) {
            em_error(module, line, "Unknown modifier '.%s'", words[k]);
            return;
        }
    }
    if (best.matched >= count) em_error(module, line, "Incomplete instruction '%s': a modifier or type is missing", mnemonic);
    else if (best.types) em_error(module, line, "Unexpected instruction types specified for '%s'", mnemonic);
    else em_error(module, line, "Illegal modifier '.%s' for instruction '%s'", words[best.matched], mnemonic);
}

static void too_old(em_module *module, uint32_t line, const em_row *row, const char *const *words, uint32_t count) {
    char name[256];
    size_t length = 0;
    for (uint32_t k = 0; k <= count; k++) {
        const char *part = k ? words[k - 1] : row->mnemonic;
        size_t size = strlen(part);
        if (length + size + 2 > sizeof name) break;
        if (k) name[length++] = '.';
        memcpy(name + length, part, size);
        length += size;
    }
    name[length] = '\0';
    if (row->ptx > module->version) em_error(module, line, "Feature '%s' requires PTX ISA .version %u.%u or later", name, row->ptx / 10, row->ptx % 10);
    else em_error(module, line, "Feature '%s' requires .target sm_%u or higher", name, row->sm);
}

static bool known_mnemonic(const char *mnemonic) {
    for (size_t k = 0; k < em_row_count; k++) {
        if (!strcmp(em_rows[k].mnemonic, mnemonic)) return true;
    }
    return false;
}

bool em_check(em_module *module, em_function *function, em_instruction *instruction, const char *mnemonic, const char *const *words, uint32_t word_count) {
    trial best = {0};
    const em_row *refused = NULL, *wrong = NULL;
    for (size_t k = 0; k < em_row_count; k++) {
        const em_row *row = &em_rows[k];
        if (row->mnemonic[0] != mnemonic[0] || strcmp(row->mnemonic, mnemonic)) continue;
        trial attempt;
        if (!match_row(row, instruction, words, word_count, &attempt)) {
            if (attempt.matched > best.matched || (attempt.matched == best.matched && attempt.types)) best = attempt;
            continue;
        }
        if (row->ptx > module->version || row->sm > module->target) {
            if (!refused) refused = row;
            continue;
        }
        if (em_check_operands(module, function, instruction, row, false)) {
            instruction->row = row;
            instruction->operation = (uint8_t)row->operation;
            return em_check_meaning(module, function, instruction);
        }
        if (!wrong) wrong = row;
    }
    instruction->row = NULL;
    trial unused;
    if (wrong) {
        match_row(wrong, instruction, words, word_count, &unused);
        em_check_operands(module, function, instruction, wrong, true);
    } else if (refused) {
        too_old(module, instruction->line, refused, words, word_count);
    } else if (known_mnemonic(mnemonic)) {
        complain(module, instruction, mnemonic, words, word_count, best);
    } else {
        em_error(module, instruction->line, "Not a name of any known instruction: '%s'", mnemonic);
    }
    return false;
}
