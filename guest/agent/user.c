#include "user.h"

#include <linux/fcntl.h>

#define MOST_FIELDS 7
#define MOST_FILE (1u << 20)

/* A line of fields that are parted by colons, which is cut at them. */
static char* next_line(char* line, char* (*fields)[MOST_FIELDS], int* count) {
  if (!*line) return NULL;
  *count = 0;
  (*fields)[(*count)++] = line;
  for (; *line && *line != '\n'; ++line) {
    if (*line != ':' || *count == MOST_FIELDS) continue;
    *line = 0;
    (*fields)[(*count)++] = line + 1;
  }
  if (*line) *line++ = 0;
  return line;
}

static char* read_lines(const char* path) {
  char* const text = allocate(MOST_FILE + 1);
  if (read_file(path, text, MOST_FILE) < 0) *text = 0;
  return text;
}

/* False: it has no room, and another name would be there in its place. */
static int copy(char (*to)[256], const char* from) {
  join(*to, sizeof *to, from, NULL);
  return strlen(from) < sizeof *to;
}

/* Whether there is such a user, with numbers; of what is not known, what root has or nothing. */
static int find_user(struct user* user, const char* name) {
  const int64_t uid = number(name);
  char* fields[MOST_FIELDS];
  int count;
  for (char* line = read_lines("/etc/passwd"); (line = next_line(line, &fields, &count));) {
    if (count < MOST_FIELDS || (!same(fields[0], name) && (uid < 0 || number(fields[2]) != uid))) continue;
    if (number(fields[2]) < 0 || number(fields[3]) < 0) return 0;
    user->uid = (uint32_t)number(fields[2]);
    user->gid = (uint32_t)number(fields[3]);
    return copy(&user->name, fields[0]) && (!*fields[5] || copy(&user->home, fields[5])) &&
           (!*fields[6] || copy(&user->shell, fields[6]));
  }
  const int root = same(name, "root");
  user->uid = user->gid = root ? 0 : (uint32_t)uid;
  copy(&user->name, uid == 0 ? "root" : name);
  if (root || uid == 0) copy(&user->home, "/root");
  return root || uid >= 0;
}

static int is_member(const char* list, const char* name) {
  const size_t n = strlen(name);
  while (*list) {
    if (starts_with(list, name) && (list[n] == 0 || list[n] == ',')) return 1;
    while (*list && *list++ != ',') {
    }
  }
  return 0;
}

/* The group of that name, or -1; the user is in those that name him. */
static int64_t find_groups(struct user* user, const char* name) {
  int64_t found = *name ? number(name) : user->gid;
  char* fields[MOST_FIELDS];
  int count;
  user->group_count = 0;
  for (char* line = read_lines("/etc/group"); (line = next_line(line, &fields, &count));) {
    if (count < 4 || number(fields[2]) < 0) continue;
    if (*name && same(fields[0], name)) found = number(fields[2]);
    if (is_member(fields[3], user->name) && user->group_count < MOST_GROUPS)
      user->groups[user->group_count++] = (uint32_t)number(fields[2]);
  }
  return found;
}

int user_find(struct user* user, const char* text) {
  char name[256], group[256] = "";
  if (!copy(&name, *text ? text : "root")) return 0;
  for (char* at = name; *at; ++at)
    if (*at == ':') {
      copy(&group, at + 1);
      *at = 0;
      break;
    }
  copy(&user->home, "/");
  copy(&user->shell, "/bin/sh");
  if (!find_user(user, name)) return 0;
  const int64_t gid = find_groups(user, group);
  if (gid < 0) return 0;
  user->gid = (uint32_t)gid;
  return 1;
}
