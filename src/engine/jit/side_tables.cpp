#include "engine/jit/side_tables.h"

#include "base/assert.h"
#include "engine/context.h"
#include "engine/uop_functions.h"

namespace armvisor::engine::jit {
namespace {

using ir::Inst;
using ir::Op;
using ir::Value;

constexpr u32 k_slots = k_temp_bytes / 16;

u16 offset_of(Value v) {
  if (v.is_reg()) return static_cast<u16>(v.reg_number());
  if (v.is_temp()) return static_cast<u16>(temp_offset(v.temp_number() + 1) / 4);
  if (v.is_imm()) return static_cast<u16>(temp_offset(k_constant_temp) / 4);
  return offsetof(Context, scratch.zero) / 4;
}

Uop uop_of(const Inst& i) {
  Uop u;
  u.dst = i.dst.is_none() ? offsetof(Context, scratch.unread) / 4 : offset_of(i.dst);
  u.a = offset_of(i.a);
  u.b = offset_of(i.b);
  u.c = offset_of(i.c);
  u.imm = i.imm;
  u.disp = i.disp;
  u.attr = i.attr;
  u.attr2 = i.attr2;
  u.helper_number = helper_number(i.op);
  if (i.op == Op::LoadEx || i.op == Op::LoadEx64 || i.op == Op::StoreEx || i.op == Op::StoreEx64) {
    AV_ASSERT(!i.moves);
    u.imm = access_imm(i.disp, i.attr);
  }
  return u;
}

bool is_start(const Inst& i) { return i.op == Op::Insn; }

}  // namespace

bool needs_uop(const Inst& i) {
  if (i.op == Op::Goto) return false;
  return (ir::info(i.op).effects & (ir::Mem | ir::Trap | ir::Exit)) || helper_of(i.op) != nullptr;
}

u32 temp_offset(u32 temp) { return static_cast<u32>(offsetof(Context, scratch.temps)) + 16 * temp; }

u32 exec_entry_offset(u32 pc) { return 8 * ((pc >> k_page_bits) % mmu::k_exec_entries); }

u32 heat_offset(u32 pc) { return static_cast<u32>(offsetof(Context, heat)) + 4 * heat_index(pc); }

u64 value_of(const Reloc& r, const Block& block) {
  switch (r.kind) {
    case Reloc::Kind::ExecEntry: return exec_entry_offset(block.links[r.of].pc);
    case Reloc::Kind::Heat: return heat_offset(block.links[r.of].pc);
    case Reloc::Kind::Uop: return reinterpret_cast<u64>(&block.code[r.of]);
    case Reloc::Kind::Link: return reinterpret_cast<u64>(&block.links[r.of]);
    case Reloc::Kind::SecondPage: return reinterpret_cast<u64>(&block.second_id);
    default: AV_UNREACHABLE();
  }
}

bool write_cpsr_links(const ir::Block& block, u32 index) {
  return block.insts[index].op == Op::WriteCpsr && index + 1 < block.insts.size() &&
         block.insts[index + 1].op == Op::ExitSync;
}

bool has_link(const ir::Block& block, u32 index) {
  const Op op = block.insts[index].op;
  return op == Op::ExitJump || op == Op::ExitCall || op == Op::ExitSwitch ||
         (op == Op::ExitSync && index > 0 && write_cpsr_links(block, index - 1));
}

bool exits_may_link(const ir::Block& block) {
  for (const Inst& i : block.insts)
    if (i.op == Op::SetIt && i.imm != 0) return false;
  return true;
}

bool straddles(const ir::Block& block) {
  const u32 last = block.pc - block.before + block.guest_bytes - 1;
  return (last ^ block.pc) >> k_page_bits != 0;
}

bool can_move(const ir::Block& block, u32 key) {
  if ((key & k_key_window) || block.head_count != 0 || straddles(block)) return false;
  for (u32 k = 0; k < block.insts.size(); ++k)
    if (block.insts[k].op == Op::NoDebugEvent || (has_link(block, k) && !block.insts[k].imm_address().moves))
      return false;
  return true;
}

std::unique_ptr<Block> make_tables(const ir::Block& block, u32 key, Relocs& relocs) {
  if (block.temp_count + 1 >= k_slots || block.insts.size() >= 0xfff0) return nullptr;
  auto out = std::make_unique<Block>();
  out->pc = block.pc;
  out->key = key;
  out->insn_count = block.insn_count;
  out->before = block.before;
  out->bytes = block.guest_bytes;
  out->region = block.head_count != 0;
  u32 uops = 1, links = 0, marks = 0;
  for (u32 k = 0; k < block.insts.size(); ++k) {
    uops += needs_uop(block.insts[k]);
    links += has_link(block, k);
    marks += is_start(block.insts[k]);
  }
  out->make_tables(uops, links, marks);
  out->code[0].handler = handlers()[static_cast<u16>(Kind::JumpSync)];
  out->code[0].imm = block.pc;
  relocs.push_back({0, 0, Reloc::Kind::UopImm});
  const bool two_pages = straddles(block);
  Uop* uop = out->code + 1;
  Link* link = out->links;
  InsnMark* mark = out->marks;
  for (u32 k = 0; k < block.insts.size(); ++k) {
    const Inst& i = block.insts[k];
    if (has_link(block, k)) {
      link->owner = out.get();
      link->pc = static_cast<u32>(i.imm);
      link->same_page = !two_pages && (link->pc ^ block.pc) >> k_page_bits == 0;
      ++link;
    }
    if (needs_uop(i)) {
      *uop = uop_of(i);
      const auto number = static_cast<u32>(uop - out->code);
      if (i.moves & ir::Moves::imm) relocs.push_back({number, 0, Reloc::Kind::UopImm});
      if (i.moves & ir::Moves::disp) relocs.push_back({number, 0, Reloc::Kind::UopDisp});
      set_block(*uop++, *out);
    }
    if (is_start(i))
      *mark++ = {static_cast<u16>(uop - out->code), static_cast<s16>(static_cast<u32>(i.imm) - block.pc), i.attr,
                 static_cast<u8>(i.disp)};
  }
  return out;
}

}  // namespace armvisor::engine::jit
