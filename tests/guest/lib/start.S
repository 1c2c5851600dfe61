@ Start-up of every vCPU, the exception vectors, and calls that change mode.
        .syntax unified
        .arm
        .equ    STACK_PER_CPU, 0x10000      @ SVC gets half of it, the other modes 4 KiB each
        .equ    CPUS, 8

        .section .text.start, "ax"
        .global _start
_start: cpsid   aif
        ldr     r4, =__bss_start
        ldr     r5, =__bss_end
        mov     r6, #0
1:      cmp     r4, r5
        strlo   r6, [r4], #4
        blo     1b
        mov     r0, #0
        @ Falls through with the number of the CPU in r0, as CPU_ON passes it to the others.
        .global cpu_entry
cpu_entry:
        cpsid   aif
        ldr     r1, =stacks
        mov     r2, #STACK_PER_CPU
        mla     r1, r0, r2, r1              @ bottom of this CPU's stacks
        add     r1, r1, #0x1000
        cps     #0x11
        mov     sp, r1
        add     r1, r1, #0x1000
        cps     #0x12
        mov     sp, r1
        add     r1, r1, #0x1000
        cps     #0x17
        mov     sp, r1
        add     r1, r1, #0x1000
        cps     #0x1b
        mov     sp, r1
        add     r1, r1, #0x2000
        cps     #0x1f
        mov     sp, r1
        add     r1, r1, #0xa000
        cps     #0x13
        mov     sp, r1
        ldr     r1, =vectors
        mcr     p15, 0, r1, c12, c0, 0      @ VBAR
        isb
        cmp     r0, #0
        beq     first_main
        b       secondary_main

        .text
        .balign 32
        .global vectors
vectors:
        b       .
        b       vector_undefined
        b       vector_svc
        b       vector_prefetch
        b       vector_data
        b       .
        b       vector_irq
        b       vector_fiq

@ The frame is struct frame of guest.h: SPSR, R0-R12, LR as the exception left it, CPSR at entry, on the stack of the
@ new mode. The handler leaves in frame->lr where to return. TPIDRPRW is scratch until data is little-endian.
        .macro  vector name, kind
\name:  mcr     p15, 0, r0, c13, c0, 4
        mrs     r0, cpsr
        setend  le
        push    {r0}
        mrc     p15, 0, r0, c13, c0, 4
        push    {r0-r12, lr}
        mrs     r0, spsr
        push    {r0}
        mov     r0, sp
        mov     r1, #\kind
        bl      exception_entry
        pop     {r0}
        msr     spsr_cxsf, r0
        pop     {r0-r12, lr}
        add     sp, sp, #4
        movs    pc, lr
        .endm

        vector  vector_undefined, 1
        vector  vector_svc, 2
        vector  vector_prefetch, 3
        vector  vector_data, 4
        vector  vector_irq, 6
        vector  vector_fiq, 7

@ u32 call_user(u32 (*fn)(u32), u32 arg): runs fn in USR mode. SVC #0xff comes back in SYS mode (exception_entry).
        .global call_user
call_user:
        push    {r4-r11, lr}
        mov     r4, r0
        mov     r0, r1
        cps     #0x10
        blx     r4
        svc     #0xff
        cps     #0x13
        pop     {r4-r11, pc}

@ u32 psci(u32 function, u32 a, u32 b, u32 c)
        .global psci
        .arch_extension virt
psci:   hvc     #0
        bx      lr

        .section .bss.stacks, "aw", %nobits
        .balign 16
stacks: .space  CPUS * STACK_PER_CPU
