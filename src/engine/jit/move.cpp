#include "engine/jit/move.h"

#include <fmt/core.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "base/assert.h"
#include "engine/jit/reloc.h"
#include "engine/jit/side_tables.h"

namespace armvisor::engine::jit {
namespace {

u32 patch_offset(const Block& block, const Link& link) { return static_cast<u32>(link.patch - block.patch_base); }

/// The guest address in `imm` moves; what is above its 32 bits stays.
u64 moved_imm(u64 imm, u32 by) { return (imm & ~u64{0xffffffff}) | static_cast<u32>(imm + by); }

void copy_tables(const Block& from, Block& out, u32 by) {
  out.make_tables(from.code_count, from.link_count, from.mark_count);
  std::copy_n(from.code, from.code_count, out.code);
  for (u32 k = 1; k < out.code_count; ++k) set_block(out.code[k], out);
  std::copy_n(from.marks, from.mark_count, out.marks);
  for (u32 k = 0; k < from.link_count; ++k) {
    const Link& old = from.links[k];
    Link& link = out.links[k];
    link.owner = &out;
    link.pc = old.pc + by;
    link.unlinked = old.unlinked;
    link.same_page = old.same_page;
    if (old.patch) link.patch = out.patch_base + patch_offset(from, old);
  }
}

/// The guest addresses in the uops of `out`, which were copied, move, too.
void move_uops(const Relocs& relocs, Block& out, u32 by) {
  for (const Reloc& r : relocs) {
    if (r.kind == Reloc::Kind::UopImm) out.code[r.at].imm = moved_imm(out.code[r.at].imm, by);
    if (r.kind == Reloc::Kind::UopDisp) out.code[r.at].disp += by;
  }
}

/// The generated code of `block`, made anew for where `there` is.
std::vector<u8> code_at(const CodeGenerator& generator, const Block& block, const Block& there) {
  const u8* const host = static_cast<const u8*>(block.host);
  std::vector<u8> out(host, host + block.host_size);
  generator.place(out.data(), *block.relocs, there, 0);
  return out;
}

std::string at_place(const char* what, std::size_t place) { return fmt::format("{} {:#x}", what, place); }

bool same_uop(const Uop& x, const Uop& y) {
  return x.dst == y.dst && x.a == y.a && x.b == y.b && x.c == y.c && x.imm == y.imm && x.disp == y.disp &&
         x.attr == y.attr && x.attr2 == y.attr2 && x.helper_number == y.helper_number;
}

bool same_link(const Block& a, const Link& x, const Block& b, const Link& y) {
  if (x.pc != y.pc || x.same_page != y.same_page || x.unlinked != y.unlinked || !x.patch != !y.patch) return false;
  return !x.patch || patch_offset(a, x) == patch_offset(b, y);
}

bool same_mark(const InsnMark& x, const InsnMark& y) {
  return x.first_uop == y.first_uop && x.offset == y.offset && x.bytes == y.bytes && x.it == y.it;
}

}  // namespace

std::unique_ptr<Block> move(const CodeGenerator& generator, const Block& from, u32 pc, u8* rw, const u8* exec) {
  AV_ASSERT(((pc ^ from.pc) & k_page_mask) == 0);
  auto out = std::make_unique<Block>();
  out->pc = pc;
  out->key = from.key;
  out->insn_count = from.insn_count;
  out->before = from.before;
  out->bytes = from.bytes;
  out->relocs = from.relocs;
  out->host = out->linked = exec;
  out->indirect = exec;
  out->host_size = from.host_size;
  out->compiled = true;
  out->patch_base = rw;
  const u32 by = pc - from.pc;
  copy_tables(from, *out, by);
  move_uops(*from.relocs, *out, by);
  std::memcpy(rw, from.host, from.host_size);
  for (u32 k = 0; k < out->link_count; ++k)
    if (const Link& link = out->links[k]; link.patch) write_field(link.patch, link.unlinked);
  generator.place(rw, *from.relocs, *out, by);
  generator.flush(exec, from.host_size);
  return out;
}

std::string difference(const CodeGenerator& generator, const Block& a, const Block& b) {
  if (a.pc != b.pc || a.key != b.key || a.insn_count != b.insn_count || a.before != b.before || a.bytes != b.bytes ||
      a.host_size != b.host_size || a.code_count != b.code_count || a.link_count != b.link_count ||
      a.mark_count != b.mark_count)
    return "their kind or size";
  for (u32 k = 0; k < a.code_count; ++k)
    if (!same_uop(a.code[k], b.code[k])) return at_place("uop", k);
  for (u32 k = 0; k < a.link_count; ++k)
    if (!same_link(a, a.links[k], b, b.links[k])) return at_place("link", k);
  for (u32 k = 0; k < a.mark_count; ++k)
    if (!same_mark(a.marks[k], b.marks[k])) return at_place("mark", k);
  if (*a.relocs != *b.relocs) return "their relocations";
  const std::vector<u8> x = code_at(generator, a, b), y = code_at(generator, b, b);
  const auto place = std::mismatch(x.begin(), x.end(), y.begin());
  return place.first == x.end() ? "" : at_place("code at", static_cast<std::size_t>(place.first - x.begin()));
}

}  // namespace armvisor::engine::jit
