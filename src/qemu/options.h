#pragma once
// The readers of options.inc: each takes one option into the line, and says in its outcomes what became of it.
#include <span>
#include <string>
#include <string_view>

#include "qemu/line.h"

namespace armvisor::qemu {

#define OPTION(name, value, reader, help) void reader(Line& line, const Given& given);
#define SHORT(name, other)
#define IGNORED(name, value, shape, why)
#define REFUSED(name, value, why)
#include "qemu/options.inc"
#undef OPTION
#undef SHORT
#undef IGNORED
#undef REFUSED

struct OptionRow {
  std::string_view name, value;
  void (*reader)(Line&, const Given&);  ///< null: as `fate` says
  Fate fate;
  std::string_view shape;  ///< of the value of one that is ignored, as value_kinds.h says
  std::string_view text;   ///< help, or why
};
/// The option of that name, or of that short name; null: there is none.
const OptionRow* find_option(std::string_view name);
std::span<const OptionRow> option_rows();

/// -machine accel=A:B:C.
void read_accelerators(Line& line, const Given& given, std::string_view names);
/// "A, B, C": the types of -object.
std::string object_names();

// --- what readers share

/// "-drive if=mtd": one key of an option, for its outcome.
std::string key_of(const Given& given, std::string_view key, std::string_view value);
/// The list of an option; nothing, with an outcome, if it is none.
std::optional<KeyValues> read_list(Line& line, const Given& given, std::string_view implied);
/// Takes `key`, the id of what is read; `needed`: there must be one. False, with an outcome: no id, or not of its own.
bool read_id(Line& line, const Given& given, KeyValues& values, std::string_view key, IdKind kind, bool needed,
             std::string& id);
/// What a key says; nothing if it is absent or, with an outcome, no such value.
std::optional<bool> read_bool(Line& line, const Given& given, KeyValues& values, std::string_view key);
std::optional<devices::MacAddress> read_mac(Line& line, const Given& given, KeyValues& values, std::string_view key);
/// Refuses a Drive, Netdev or Chardev that is being read, so that what refers to it is not blamed as well.
template <class Part>
void refuse(Line& line, Part& part, const std::string& where, const std::string& why) {
  line.outcomes.refused(where, why);
  part.refused = true;
}
/// Whether a value is as `shape` says (value_kinds.h); if not, with outcomes.
bool check_shape(Line& line, const Given& given, std::string_view shape);
/// The same for the keys of a list, which are gone then.
bool check_keys(Line& line, const Given& given, KeyValues& values, std::string_view shape);
/// Takes a key whose value is of a kind (value_kinds.h); nothing if it is absent or, with an outcome, of another.
std::optional<std::string> read_value(Line& line, const Given& given, KeyValues& values, std::string_view key,
                                      std::string_view kind);
/// Whether a file is named at all; if not, with an outcome.
bool check_file_name(Line& line, const Given& given);
/// A chardev that `given` says, and of which nothing is read yet.
Chardev new_chardev(const Given& given);
/// Places with a name of their own, as -serial has them: "stdio", "file:log", "unix:sock,server", "chardev:ID".
Chardev read_place(Line& line, const Given& given, std::string_view text);
/// Ignores those of `keys` that are there.
void ignore_keys(Line& line, const Given& given, KeyValues& values, std::initializer_list<std::string_view> keys,
                 std::string_view why);
/// Whether a network of this kind is one over a socket: socket, stream or dgram.
bool is_link(std::string_view kind);
/// Reads such a one.
void read_link(Line& line, Netdev& netdev, KeyValues& values);
/// Refuses what is left in a list.
void refuse_unknown_keys(Line& line, const Given& given, const KeyValues& values);

}  // namespace armvisor::qemu
