#pragma once
/* The command that the host asked for: its user, its process, the agent's ends of its streams. */
#include "port.h"

struct command {
  long pid;
  int terminal; /* it is on one: `in` and `out` are its other side, and `error` is -1 */
  int in, out, error;
  int kept; /* the terminal's own side, open so that it lasts while the command has closed it; otherwise -1 */
};

/* `request` is a struct av_run and its words, of `size` bytes. False: the host was told what failed. */
int command_start(struct command* command, char* request, size_t size);
void command_resize(const struct command* command, const struct av_size* size);
