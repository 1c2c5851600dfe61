#include "engine/jit/x64/memory_emitter.h"

#include "engine/jit/x64/tlb_probe.h"
#include "ir/access.h"

namespace armvisor::engine::jit {
namespace {

using ir::Op;

std::size_t tag_offset(const ir::Inst& i) {
  return is_store(i.op) ? offsetof(mmu::TlbEntry, write_tag) : offsetof(mmu::TlbEntry, read_tag);
}

}  // namespace

void MemoryEmitter::begin_block() {
  accesses_.begin_block();
  window_accesses_.clear();
  window_colds_.clear();
  in_window_ = false;
}

void MemoryEmitter::emit() {
  const u32 count = at_.plan.flow[at_.index].group;
  accesses_.begin_group(at_.index, count);
  by_window() ? in_window(count) : by_tlb(count);
  at_.index += count - 1;
}

void MemoryEmitter::by_tlb(u32 count) {
  const Inst* const group = &at_.block->insts[at_.index];
  const Inst& first = group[0];
  const u32 length = group[count - 1].disp + access_size(group[count - 1]) - first.disp;
  const Label miss = code_.label(), slow = code_.label(), back = code_.label();
  const ScratchEax eax(code_.scratch);
  const ScratchEcx ecx(code_.scratch);
  load_address(first, eax);
  if (options_.inline_tlb && !(first.attr & ir::MemAttr::unprivileged)) {
    if (const u32 alignment = ir::access_of(first).alignment; alignment > 1) {
      code_.test(eax, alignment - 1);
      code_.jnz(slow, Code::T_NEAR);
    }
    emit_tlb_probe(code_, eax, ecx, tag_offset(first), length, miss, host_.bmi2);
  } else {
    code_.jmp(slow, Code::T_NEAR);
  }
  for (u32 k = 0; k < count; ++k) access(at_.index + k, eax.cvt64() + ecx.cvt64() + (group[k].disp - first.disp));
  code_.L(back);
  cold_.add([this, group, count, miss, slow, back] {
    const ScratchEax address(code_.scratch);
    {
      const ScratchEcx entry(code_.scratch);
      code_.L(miss);
      code_.add(address, code_.dword[entry.cvt64() + tag_offset(*group)]);
    }
    code_.L(slow);
    flags_.recover(at_.index);
    call_for_each(count, address, false);
    code_.jmp(back, Code::T_NEAR);
  });
}

/// The access of the instruction at `index`; `at` is in registers.
void MemoryEmitter::access(u32 index, const RegExp& at) {
  const Inst& i = at_.block->insts[index];
  if (!accesses_.is_in_xmm(i)) return is_load(i.op) ? load(i, at) : store(i, at);
  if (accesses_.moves_with_neighbour(i)) return;
  touch();
  is_load(i.op) ? accesses_.load(i, at) : accesses_.store(i, at);
}

void MemoryEmitter::load(const Inst& i, const RegExp& at) {
  const bool big = i.attr & ir::MemAttr::big, sign = i.attr & ir::MemAttr::sign;
  const ScratchEdx edx(code_.scratch);
  if (i.op == Op::Load64) {
    const Reg64 d = operands_.target64(i.dst, edx.cvt64());
    touch();
    code_.mov(d, code_.qword[at]);
    if (big) code_.bswap(d);
    return operands_.finish64(i.dst, d);
  }
  const Reg32 d = operands_.target(i.dst, edx);
  touch();
  switch (access_size(i)) {
    case 1: sign ? code_.movsx(d, code_.byte[at]) : code_.movzx(d, code_.byte[at]); break;
    case 2:
      if (big) {
        code_.movzx(d, code_.word[at]);
        code_.bswap(d);
        sign ? code_.sar(d, 16) : code_.shr(d, 16);
      } else {
        sign ? code_.movsx(d, code_.word[at]) : code_.movzx(d, code_.word[at]);
      }
      break;
    default:
      code_.mov(d, code_.dword[at]);
      if (big) code_.bswap(d);
  }
  operands_.finish(i.dst, d);
}

void MemoryEmitter::store(const Inst& i, const RegExp& at) {
  const bool big = i.attr & ir::MemAttr::big;
  const u32 size = access_size(i);
  const ScratchEdx edx(code_.scratch);
  if (size == 8) {
    Reg64 v = operands_.use64(i, i.b, edx.cvt64());
    if (big) {
      if (v.getIdx() != edx.getIdx()) code_.mov(edx.cvt64(), v);
      v = edx.cvt64();
      code_.bswap(v);
    }
    touch();
    return code_.mov(code_.qword[at], v);
  }
  Reg32 v = operands_.use(i, i.b, edx);
  if (big && size > 1) {
    if (v.getIdx() != edx.getIdx()) code_.mov(edx, v);
    v = edx;
    code_.bswap(v);
    if (size == 2) code_.shr(v, 16);
  }
  touch();
  if (size == 1)
    code_.mov(code_.byte[at], v.cvt8());
  else if (size == 2)
    code_.mov(code_.word[at], v.cvt16());
  else
    code_.mov(code_.dword[at], v);
}

// --- windows

bool MemoryEmitter::by_window() const {
  return options_.inline_tlb && (at_.key & k_key_window) &&
         !(at_.block->insts[at_.index].attr & ir::MemAttr::unprivileged) &&
         !sites_.avoided(insn_address(*at_.block, at_.index));
}

/// Before the host instruction that goes to guest memory.
void MemoryEmitter::touch() {
  if (!in_window_) return;
  window_accesses_.push_back({code_.getSize(), window_colds_.size() - 1});
  code_.db(0x65);  // GS
}

/// The place of `first`, by registers of 32 bits, so that it is reduced modulo 2^32 as a guest address is.
MemoryEmitter::RegExp MemoryEmitter::window_place(const Inst& first, const ScratchEax& eax, Label misaligned) {
  const u32 alignment = ir::access_of(first).alignment;
  const bool checked = alignment > 1;
  Reg32 base = eax;
  u32 disp = 0;
  if (first.a.is_imm() || (checked && first.disp % alignment != 0)) {
    load_address(first, eax);
  } else {
    base = operands_.use(first, first.a, eax);
    disp = first.disp;
  }
  if (checked) {
    code_.test(base, alignment - 1);
    code_.jnz(misaligned, Code::T_NEAR);
  }
  return base + static_cast<int>(disp);
}

/// A group of loads that faults in the middle would leave cold paths without the operands they make flags from. So its
/// last byte is touched first; what lies between is on the same pages. Stores are just done again.
void MemoryEmitter::in_window(u32 count) {
  const Inst* const group = &at_.block->insts[at_.index];
  const Inst &first = group[0], &last = group[count - 1];
  const Label cold = code_.label(), back = code_.label();
  const ScratchEax eax(code_.scratch);
  const RegExp at = window_place(first, eax, cold);
  window_colds_.push_back(0);
  in_window_ = true;
  if (count > 1 && is_load(first.op) && (at_.plan.flags.recovers(at_.index) || at_.plan.region.recovers(at_.index))) {
    const ScratchEcx ecx(code_.scratch);
    touch();
    code_.movzx(ecx, code_.byte[at + (last.disp - first.disp + access_size(last) - 1)]);
  }
  for (u32 k = 0; k < count; ++k) access(at_.index + k, at + (group[k].disp - first.disp));
  in_window_ = false;
  code_.L(back);
  cold_.add([this, count, cold, back, number = window_colds_.size() - 1] {
    code_.L(cold);
    window_colds_[number] = code_.getSize();
    flags_.recover(at_.index);
    const ScratchEax address(code_.scratch);
    load_address(at_.block->insts[at_.index], address);
    call_for_each(count, address, true);
    code_.jmp(back, Code::T_NEAR);
  });
}

std::size_t MemoryEmitter::emit_window_table() {
  if (window_accesses_.empty()) return 0;
  code_.align(4);
  const std::size_t table = code_.getSize();
  code_.dd(static_cast<u32>(window_accesses_.size()));
  for (const WindowAccess& a : window_accesses_) {
    code_.dd(static_cast<u32>(table - a.at));
    code_.dd(static_cast<u32>(table - window_colds_[a.group]));
  }
  return table;
}

// --- cold paths

void MemoryEmitter::load_address(const Inst& i, const ScratchEax& eax) {
  const ir::Address imm = i.imm_address(), disp = i.disp_address();
  if (i.a.is_imm()) return code_.move_address(eax, {imm.value + disp.value, imm.moves || disp.moves});
  const Reg32 base = operands_.use(i, i.a, eax);
  if (disp.moves)
    code_.lea_address(eax, base, disp);
  else if (i.disp != 0)
    code_.lea(eax, code_.ptr[base.cvt64() + static_cast<s32>(i.disp)]);
  else if (base.getIdx() != eax.getIdx())
    code_.mov(eax, base);
}

/// The group at hand in C++, one by one; eax = address of the first.
void MemoryEmitter::call_for_each(u32 count, const ScratchEax& eax, bool window) {
  const u32 first = at_.index, end = first + count;
  while (true) {
    call(at_.block->insts[at_.index], eax, accesses_.keeps_xmm(first), window);
    if (++at_.index == end) return;
    load_address(at_.block->insts[at_.index], eax);
  }
}

void MemoryEmitter::call(const Inst& i, const ScratchEax& eax, bool keep_xmm, bool window) {
  const bool in_xmm = accesses_.is_in_xmm(i);
  if (is_load(i.op)) {
    calls_.name_uop();
    calls_.call_service(window ? Service::WindowLoad : Service::Load, keep_xmm);
    if (in_xmm) return accesses_.finish_load(i, eax.cvt64());
    return i.op == Op::Load64 ? operands_.finish64(i.dst, eax.cvt64()) : operands_.finish(i.dst, eax);
  }
  const ScratchEcx ecx(code_.scratch);
  if (in_xmm)
    accesses_.move_stored_to(ecx.cvt64(), i);
  else
    i.op == Op::Store64 ? operands_.load_to64(i, i.b, ecx.cvt64()) : operands_.load_to(i, i.b, ecx);
  calls_.name_uop();
  calls_.call_service(window ? Service::WindowStore : Service::Store, keep_xmm);
}

}  // namespace armvisor::engine::jit
