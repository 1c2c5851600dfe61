#pragma once
/* The agent's end of the channel to the host: frames, sent whole and taken whole. */
#include "exec/protocol.h"
#include "sys.h"

/* Finds the port by its name and opens it; looks for it so many times, a millisecond or more apart. An error below zero
 * if there is none. */
long port_open(const char* name, int looks);
/* Another process has it. */
void port_forget(void);
int port_fd(void);

/* Waits for the host, which always takes what it gave credit for. */
void port_send(uint8_t type, uint8_t stream, const void* bytes, uint32_t length);
/* The same for two pieces, as one frame. */
void port_send2(uint8_t type, uint8_t stream, const void* a, uint32_t a_length, const void* b, uint32_t b_length);
/* AV_FAILED; what is said of it comes from both words. */
void port_failed(uint32_t step, long error, const char* what, const char* which);

/* Takes what has come, without waiting; true while there is a whole frame, which stays until the next call. */
struct frame {
  struct av_frame head;
  const uint8_t* bytes;
};
int port_next(struct frame* frame);
/* Waits for something to come. */
void port_wait(void);
