#include "engine/jit/move.h"

#include <algorithm>
#include <cstring>
#include <optional>

#include "engine/jit/side_tables.h"

namespace armvisor::engine::jit {
namespace {

template <class T>
T read(const u8* at) {
  T value;
  std::memcpy(&value, at, sizeof value);
  return value;
}
template <class T>
void write(u8* at, T value) {
  std::memcpy(at, &value, sizeof value);
}

const u8* code_of(const Block& block) { return static_cast<const u8*>(block.host); }
u32 patch_offset(const Block& block, const Link& link) { return static_cast<u32>(link.patch - block.patch_base); }

/// The generated code as it is while nothing is linked, without its PcFields.
std::vector<u8> unlinked_code(const Block& block) {
  std::vector<u8> out(code_of(block), code_of(block) + block.host_size);
  for (u32 k = 0; k < block.link_count; ++k)
    if (const Link& link = block.links[k]; link.patch) write(out.data() + patch_offset(block, link), link.unlinked);
  for (const PcField& f : block.pc_fields) write(out.data() + f.at, u32{0});
  return out;
}

/// Both are addresses of the same member of an array that each block has.
template <class T>
bool same_member(u64 a, u64 b, const T* of_a, const T* of_b, u32 count) {
  const u64 offset = a - reinterpret_cast<u64>(of_a);
  return offset == b - reinterpret_cast<u64>(of_b) && offset < u64{count} * sizeof(T) && offset % sizeof(T) == 0;
}

class Comparison {
 public:
  Comparison(const Block& a, const Block& b, const FixedCode& fixed) : a_(a), b_(b), fixed_(fixed) {}

  bool run(Recipe& out) {
    if (a_.host_size != b_.host_size || a_.insn_count != b_.insn_count || a_.before != b_.before ||
        a_.bytes != b_.bytes || a_.code_count != b_.code_count || a_.link_count != b_.link_count ||
        a_.mark_count != b_.mark_count || a_.key != b_.key || a_.pc_fields != b_.pc_fields || moved() == 0)
      return false;
    return uops(out) && links() && marks() && code(out);
  }

 private:
  u32 moved() const { return b_.pc - a_.pc; }

  bool uops(Recipe& out) const {
    for (u32 k = 0; k < a_.code_count; ++k) {
      const Uop &x = a_.code[k], &y = b_.code[k];
      if (x.dst != y.dst || x.a != y.a || x.b != y.b || x.c != y.c) return false;
      if (x.imm != y.imm) {
        if (x.imm >> 32 != y.imm >> 32 || static_cast<u32>(y.imm - x.imm) != moved()) return false;
        out.imms.push_back(k);
      }
      if (x.helper == y.helper) continue;
      if (y.disp - x.disp != moved() || x.attr != y.attr || x.attr2 != y.attr2 || x.kind != y.kind) return false;
      out.disps.push_back(k);
    }
    return true;
  }

  bool links() const {
    for (u32 k = 0; k < a_.link_count; ++k) {
      const Link &x = a_.links[k], &y = b_.links[k];
      if (y.pc - x.pc != moved() || x.same_page != y.same_page || !x.patch != !y.patch) return false;
      if (x.patch && (x.unlinked != y.unlinked || patch_offset(a_, x) != patch_offset(b_, y))) return false;
    }
    return true;
  }

  bool marks() const {
    for (u32 k = 0; k < a_.mark_count; ++k) {
      const InsnMark &x = a_.marks[k], &y = b_.marks[k];
      if (x.first_uop != y.first_uop || x.offset != y.offset || x.bytes != y.bytes || x.it != y.it) return false;
    }
    return true;
  }

  bool code(Recipe& out) const {
    const std::vector<u8> x = unlinked_code(a_), y = unlinked_code(b_);
    for (u32 at = 0, done = 0; at < x.size();) {
      if (x[at] == y[at]) {
        ++at;
        continue;
      }
      const auto fix = explain(x, y, at, done);
      if (!fix) return false;
      out.code.push_back(*fix);
      at = done = fix->at + (fix->kind <= Recipe::Kind::Outside ? 4 : 8);
    }
    return true;
  }

  /// The one field, beginning at or behind `from`, that explains why byte `at` differs.
  std::optional<Recipe::Fix> explain(const std::vector<u8>& x, const std::vector<u8>& y, u32 at, u32 from) const {
    std::optional<Recipe::Fix> found;
    u32 explanations = 0;
    const auto size = static_cast<u32>(x.size());
    for (u32 begin = std::max(from, at < 7 ? 0 : at - 7); begin <= at; ++begin) {
      const auto note = [&](Recipe::Kind kind) {
        found = Recipe::Fix{begin, kind};
        ++explanations;
      };
      if (begin + 4 > at && begin + 4 <= size) {
        const u32 p = read<u32>(&x[begin]), q = read<u32>(&y[begin]);
        if (q - p == moved()) note(Recipe::Kind::Pc);
        const u8* const there = code_of(a_) + begin + 4 + static_cast<s32>(p);
        if (there == code_of(b_) + begin + 4 + static_cast<s32>(q) && there >= fixed_.begin && there < fixed_.end)
          note(Recipe::Kind::Outside);
      }
      if (begin + 8 <= size) {
        const u64 p = read<u64>(&x[begin]), q = read<u64>(&y[begin]);
        if (same_member(p, q, a_.code, b_.code, a_.code_count)) note(Recipe::Kind::Uop);
        if (same_member(p, q, a_.links, b_.links, a_.link_count)) note(Recipe::Kind::Link);
      }
    }
    return explanations == 1 ? found : std::nullopt;
  }

  const Block &a_, &b_;
  const FixedCode& fixed_;
};

}  // namespace

std::shared_ptr<const Recipe> compare(const Block& a, const Block& b, const FixedCode& fixed) {
  auto recipe = std::make_shared<Recipe>();
  recipe->usable = Comparison(a, b, fixed).run(*recipe);
  recipe->confirmed = recipe->usable && a.recipe && a.recipe->usable && *a.recipe == *recipe;
  // What was explained in another way before is not understood.
  if (a.recipe && !recipe->confirmed) recipe->usable = false;
  return recipe;
}

std::unique_ptr<Block> move(const Block& from, u32 pc, u8* rw, const u8* exec) {
  const Recipe& recipe = *from.recipe;
  const u32 by = pc - from.pc;
  auto out = std::make_unique<Block>();
  out->pc = pc;
  out->key = from.key;
  out->insn_count = from.insn_count;
  out->before = from.before;
  out->bytes = from.bytes;
  out->recipe = from.recipe;
  out->host = out->linked = exec;
  out->indirect = exec;
  out->host_size = from.host_size;
  out->compiled = true;
  out->patch_base = rw;
  out->make_tables(from.code_count, from.link_count, from.mark_count);
  std::copy_n(from.code, from.code_count, out->code);
  for (const u32 k : recipe.imms) {
    u64& imm = out->code[k].imm;
    imm = (imm & ~u64{0xffffffff}) | static_cast<u32>(imm + by);
  }
  for (const u32 k : recipe.disps) out->code[k].disp += by;
  for (u32 k = 1; k < out->code_count; ++k) set_block(out->code[k], *out);
  std::copy_n(from.marks, from.mark_count, out->marks);
  for (u32 k = 0; k < from.link_count; ++k) {
    const Link& old = from.links[k];
    Link& link = out->links[k];
    link.owner = out.get();
    link.pc = old.pc + by;
    link.unlinked = old.unlinked;
    link.same_page = old.same_page;
    if (old.patch) link.patch = rw + patch_offset(from, old);
  }

  std::memcpy(rw, from.host, from.host_size);
  for (u32 k = 0; k < out->link_count; ++k)
    if (const Link& link = out->links[k]; link.patch) write(link.patch, link.unlinked);
  out->pc_fields = from.pc_fields;
  for (const PcField& f : out->pc_fields) write(rw + f.at, pc_field(f.kind, pc + f.target));
  for (const Recipe::Fix& fix : recipe.code) {
    u8* const at = rw + fix.at;
    const auto shift = [&](const auto* old, const auto* now) {
      write(at, read<u64>(at) - reinterpret_cast<u64>(old) + reinterpret_cast<u64>(now));
    };
    switch (fix.kind) {
      case Recipe::Kind::Pc: write(at, read<u32>(at) + by); break;
      case Recipe::Kind::Outside: write(at, read<u32>(at) - static_cast<u32>(exec - code_of(from))); break;
      case Recipe::Kind::Uop: shift(from.code, out->code); break;
      case Recipe::Kind::Link: shift(from.links, out->links); break;
    }
  }
  return out;
}

}  // namespace armvisor::engine::jit
