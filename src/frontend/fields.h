#pragma once
// The fields of a table line as a type, so that a handler that asks for a field which its line lacks does not compile.
#include <array>
#include <cstddef>

#include "base/bits.h"
#include "frontend/decoder.h"

namespace armvisor::frontend {

/// A pattern of a table line (decoder.h) of which only the fields are left: lines whose fields are alike share a type.
template <std::size_t Size>
struct FieldLayout {
  char text[Size] = {};

  consteval FieldLayout(const char (&pattern)[Size]) {
    for (std::size_t k = 0; k + 1 < Size; ++k) text[k] = is_letter(pattern[k]) ? pattern[k] : '.';
  }
  static constexpr bool is_letter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
};

/// Where a field's bits are: its pieces, most significant first. None: there is no such field.
struct FieldPieces {
  struct Piece {
    u8 lsb = 0, width = 0;
  };
  std::array<Piece, 4> pieces{};
  u32 count = 0;

  constexpr u32 of(u32 word) const {
    u32 v = 0;
    for (u32 k = 0; k < count; ++k)
      v = v << pieces[k].width | ((word >> pieces[k].lsb) & static_cast<u32>(low_mask(pieces[k].width)));
    return v;
  }
};

template <std::size_t Size>
consteval FieldPieces find_field(const FieldLayout<Size>& layout, char letter) {
  FieldPieces found;
  for (std::size_t k = 0; k + 1 < Size; ++k) {
    if (layout.text[k] != letter) continue;
    if (k == 0 || layout.text[k - 1] != letter) ++found.count;
    auto& piece = found.pieces.at(found.count - 1);
    piece.lsb = static_cast<u8>(Size - 2 - k);
    ++piece.width;
  }
  return found;
}

/// An instruction decoded by a line of this layout. i('n') is the value of its field n.
template <FieldLayout Layout>
class Fields {
 public:
  /// The name of a field that there is.
  struct Name : FieldPieces {
    consteval Name(char letter) : FieldPieces(find_field(Layout, letter)) {
      if (count == 0) throw "the table line of this handler has no field of that name";
    }
  };
  /// The name of a field that some of the lines that share a function lack.
  struct PerhapsName : FieldPieces {
    consteval PerhapsName(char letter) : FieldPieces(find_field(Layout, letter)) {}
  };
  /// Names of fields that there are, a letter each.
  struct Names {
    consteval Names(const char* letters) {
      for (; *letters != 0; ++letters) fields.at(count++) = Name(*letters);
    }
    std::array<FieldPieces, 4> fields{};
    u32 count = 0;
  };

  explicit Fields(const Inst& i) : raw_(i.raw) {}

  u32 raw() const { return raw_; }
  u32 operator()(Name name) const { return name.of(raw_); }
  u32 or_zero(PerhapsName name) const { return name.of(raw_); }
  /// One of these fields is 15.
  bool any_pc(Names names) const {
    for (u32 k = 0; k < names.count; ++k)
      if (names.fields[k].of(raw_) == 15) return true;
    return false;
  }

 private:
  u32 raw_;
};

}  // namespace armvisor::frontend
