#pragma once
// JSON values out of a stream of bytes, one after the other, as QEMU's monitor takes them: with spaces or nothing
// between them, and with strings in single quotes as well. What is wrong is told, and reading goes on behind it.
#include <functional>
#include <string>
#include <string_view>

#include "base/types.h"

namespace armvisor::monitor {

class JsonStream {
 public:
  static constexpr std::size_t k_max_value = 64 * 1024;  ///< characters
  static constexpr std::size_t k_max_depth = 1024;       ///< as in QEMU

  /// What there is next: the text of a whole value, with strings in double quotes; or why there is none.
  struct Item {
    std::string text, error;
  };
  /// Reads up to the end of the next item, which `item` gets, or to the end of the bytes; returns how many were read.
  /// True in `found`: there is an item.
  std::size_t read(std::string_view bytes, Item& item, bool& found);
  void reset() { *this = {}; }

 private:
  void take(char c, Item& item, bool& found);
  void in_string(char c, Item& item, bool& found);
  void between(char c, Item& item, bool& found);
  void fail(std::string error, Item& item, bool& found);
  void finish(Item& item, bool& found);

  std::string text_;       ///< of the value so far
  std::string brackets_;   ///< that are open
  char quote_ = 0;         ///< of the string that is open
  bool escaped_ = false;   ///< behind a backslash in it
  bool word_ = false;      ///< a number or keyword at the outermost level is open
  bool skipping_ = false;  ///< to the end of the line, behind a value that was too long
};

}  // namespace armvisor::monitor
