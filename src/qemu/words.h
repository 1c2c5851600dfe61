#pragma once
// The grammar of QEMU's command lines: options with one dash or two, lists of KEY=VALUE, and JSON where QEMU takes it.
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/result.h"
#include "base/types.h"

namespace armvisor::qemu {

/// An option as it stands on the line.
struct Given {
  std::string name;   ///< without dashes; empty: a word that is no option, which names a disk
  std::string value;  ///< empty for an option that takes none
  std::string text() const;
};

/// KEY=VALUE,KEY=VALUE... Two commas stand for one in a value. A word alone means WORD=on, "noWORD" WORD=off; the first
/// word alone is the value of the key that the option implies. Keys are taken out one by one, so that what is left is
/// what nobody knows.
class KeyValues {
 public:
  using Pair = std::pair<std::string, std::string>;

  KeyValues() = default;
  /// `implied`: the key of a first word alone; empty: there is none. JSON is one object, whose members within members
  /// have keys with dots.
  static Result<KeyValues> parse(std::string_view text, std::string_view implied);

  /// The last value of `key`, as QEMU takes it; all of them are gone then.
  std::optional<std::string> take(std::string_view key);
  std::vector<std::string> take_all(std::string_view key);
  const std::string* find(std::string_view key) const;
  /// Puts those of a list before, or behind, what is here; of a key that both have, the last counts.
  void prepend(Pair pair) { pairs_.insert(pairs_.begin(), std::move(pair)); }
  void append(const KeyValues& more) { pairs_.insert(pairs_.end(), more.pairs_.begin(), more.pairs_.end()); }
  void add(std::string key, std::string value) { pairs_.emplace_back(std::move(key), std::move(value)); }
  const std::vector<Pair>& left() const { return pairs_; }

 private:
  std::vector<Pair> pairs_;
};

/// help, or ?: a list is asked for instead of a machine.
bool is_help(std::string_view text);
/// on, yes, true, y; off, no, false, n.
std::optional<bool> parse_bool(std::string_view text);
/// A number in decimal, or in hexadecimal behind 0x.
std::optional<u64> parse_unsigned(std::string_view text);
/// 512, 512M, 1.5G, 0x200: bytes. A number alone counts units of 1 << `default_shift`.
std::optional<u64> parse_size(std::string_view text, unsigned default_shift);

}  // namespace armvisor::qemu
