/* What LeakSanitizer is to leave alone: memory that Criterion's runner keeps for itself until its process ends. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void) { return "leak:libcriterion.so\n"; }
