/* The support object's bytes, as read-only data of the command. */
    .section .rodata
    .global cli_support_begin
    .global cli_support_end
    .balign 16
cli_support_begin:
    .incbin QN_SUPPORT_OBJECT
cli_support_end:
    .byte 0
    .section .note.GNU-stack,"",@progbits
