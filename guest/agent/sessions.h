#pragma once
/*
 * Commands beside that of the first process: for each port that the machine has for one there is a process, which
 * serves one command and ends; then there is another.
 */
#include "port.h"

/* Starts a process that has those processes; `serve` serves a command over the port. Before there is any other. */
void sessions_start(void (*serve)(void));
/* Has it started as a process of its own, and becomes the guest's own first process. */
void sessions_start_beside_init(char** arguments, char** variables) __attribute__((noreturn));
/* Of a session: the root that the guest's first process has by now. */
void sessions_enter_root(void);
/* Is that process. With `in_init_root` each command has the root of the guest's first process, whenever that comes. */
void sessions_serve(void (*serve)(void), int in_init_root) __attribute__((noreturn));
