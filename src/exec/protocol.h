#pragma once
/*
 * What the host and its agent in the guest (guest/agent) say to each other, over a port of the virtio console. Plain C,
 * since the agent is; all numbers are little-endian.
 *
 * The port carries frames in both directions: a struct av_frame, then `length` bytes. The agent says AV_HELLO when the
 * guest is set up, or AV_FAILED; the host asks for one command by AV_RUN; the agent answers with AV_STARTED or
 * AV_FAILED. Then both pass on the command's streams. The agent ends each output stream with AV_END and at last says
 * AV_EXITED, after what the command wrote to shared folders is with the host.
 *
 * A machine that has a name serves more commands at a time, each over a port of its own: AV_SESSION_PORT and a number.
 * On each a process of the agent says AV_HELLO and serves one command; then it ends, and the port is closed until the
 * next one opens it. Programs of the host reach these ports by the machine's process (src/exec/agent_server.h), which
 * says AV_HANGUP for one that is gone.
 *
 * Nobody sends AV_DATA of a stream beyond the credit that the other side gave for it (AV_CREDIT), so neither holds more
 * of a stream than AV_WINDOW, however slow its reader is.
 */
#include <stdint.h>

#define AV_PORT_NAME "org.armvisor.agent"
#define AV_SESSION_PORT "org.armvisor.agent." /* and a number from 1 on */
#define AV_SESSIONS 8u                        /* ports for them */
#define AV_RUN_AGENT "/armvisor-agent"        /* in an initramfs that has an /init of its own (src/exec/run_agent.h) */
#define AV_PROTOCOL 3u
#define AV_FRAME_MOST 65536u     /* bytes behind a header */
#define AV_WINDOW 262144u        /* bytes of credit that there may be for a stream */
#define AV_REQUEST_MOST 4194304u /* bytes of a request, in several frames */
#define AV_SETUP_MOST 65536u     /* bytes of /setup (src/exec/initramfs.cpp) */
#define AV_PATH_MOST 4096u       /* bytes of a path in it, with the zero: Linux takes no longer one */

struct av_frame {
  uint8_t type;   /* enum av_type */
  uint8_t stream; /* enum av_stream; of AV_RUN: 1 if more of it follows */
  uint16_t zero;
  uint32_t length;
};

enum av_type {
  AV_HELLO = 1,    /* agent: struct av_hello */
  AV_RUN = 2,      /* host: struct av_run and its words, as one or several frames */
  AV_STARTED = 3,  /* agent: the program is executed */
  AV_FAILED = 4,   /* agent: struct av_failed, then text: there will be no command */
  AV_DATA = 5,     /* both: bytes of a stream */
  AV_CREDIT = 6,   /* both: uint32_t, bytes of a stream that may be sent beside those said before */
  AV_END = 7,      /* both: uint64_t, how many bytes the stream had; no more will come */
  AV_CLOSE = 8,    /* host: nobody reads this output stream any more */
  AV_SIGNAL = 9,   /* host: uint32_t, a signal of Linux for the command */
  AV_RESIZE = 10,  /* host: struct av_size of the terminal */
  AV_EXITED = 11,  /* agent: struct av_exited */
  AV_HANGUP = 12,  /* host, to a session: nobody waits for the command any more; it is ended */
  AV_GREETING = 13 /* the machine's process, to a program that connects: JSON, what a command has by itself */
};

enum av_stream { AV_STDIN = 0, AV_STDOUT = 1, AV_STDERR = 2, AV_STREAMS = 3 };

struct av_hello {
  uint32_t version; /* AV_PROTOCOL */
};

struct av_size {
  uint16_t rows, columns;
};

/*
 * A command. Behind it are words, each ended by a zero byte: user ("NAME", "UID", "NAME:GROUP"...; empty: root),
 * working folder (empty: the user's), the program and its arguments, then variables ("NAME=VALUE").
 */
struct av_run {
  uint32_t flags; /* AV_TERMINAL */
  struct av_size size;
  uint64_t realtime_s; /* the time on the host; 0: the guest's clock stays as it is */
  uint32_t realtime_ns;
  uint32_t arguments, variables; /* how many words */
  uint32_t zero;
};
#define AV_TERMINAL 1u /* the command is on a terminal: all output comes as AV_STDOUT */

struct av_failed {
  uint32_t step;  /* enum av_step */
  uint32_t error; /* errno of Linux, or 0 */
};
enum av_step {
  AV_STEP_SETUP = 1,   /* the guest could not be made ready: a module, a file system */
  AV_STEP_REQUEST = 2, /* the request is not understood */
  AV_STEP_USER = 3,    /* the user */
  AV_STEP_FOLDER = 4,  /* the working folder */
  AV_STEP_EXECUTE = 5  /* the program: ENOENT if there is none */
};

struct av_exited {
  uint32_t kind;   /* enum av_end */
  uint32_t value;  /* exit status, or number of the signal */
  uint32_t lost;   /* errno of Linux for what did not reach a shared folder; 0: all did */
  uint32_t killed; /* processes that the kernel killed because memory was short, while the command ran */
};
enum av_end { AV_END_STATUS = 0, AV_END_SIGNAL = 1 };
