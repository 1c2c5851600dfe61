#pragma once
/* Users of the system, by its /etc/passwd and /etc/group; none but root is known without them. */
#include "sys.h"

#define MOST_GROUPS 64

struct user {
  uint32_t uid, gid;
  char name[256], home[256], shell[256];
  uint32_t groups[MOST_GROUPS];
  int group_count;
};

/* "NAME", "UID", either with ":GROUP" or ":GID"; empty: root. A number need not be known. False: there is none, or its
 * name, home or shell has 256 bytes or more. */
int user_find(struct user* user, const char* text);
