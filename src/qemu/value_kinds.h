#pragma once
// What values may be, for options and keys that change nothing here but are errors in QEMU if their values are wrong.
#include <string>
#include <string_view>
#include <vector>

namespace armvisor::qemu {

/// Kinds: "text", "bool", "number", "size", "uuid", "id", "order" (letters of drives), or words with | between them.
bool is_value(std::string_view kind, std::string_view value);
/// "on or off", "a number", "a, b or c"...
std::string values_text(std::string_view kind);

/// What a list may have: "KEY=KIND,...". The first key in brackets, "[KEY]=KIND", is implied; "..." behind all stands
/// for any others. "=KIND" alone: the value is no list, and of that kind. Empty: it is any text.
struct ListShape {
  struct Key {
    std::string_view name, kind;
  };
  std::string_view whole;  ///< kind of what is no list
  std::string_view implied;
  std::vector<Key> keys;
  bool others = false;

  static ListShape parse(std::string_view text);
};

}  // namespace armvisor::qemu
