// The interpreter's loop: one label per kind of uop, each ending with a jump through the next uop's handler.
#include <bit>

#include "base/assert.h"
#include "engine/context.h"
#include "engine/guest_access.h"
#include "engine/guest_memory.h"

// Labels as values are what makes the dispatch fast; GCC and clang both have them.
#pragma GCC diagnostic ignored "-Wpedantic"

namespace armvisor::engine {
namespace {

constexpr u32 flag_bytes(u32 n, u32 z, u32 c, u32 v) { return n | z << 8 | c << 16 | v << 24; }

inline u32 add_flags(u32 a, u32 b, u32 r) { return flag_bytes(r >> 31, r == 0, r < a, (~(a ^ b) & (a ^ r)) >> 31); }
inline u32 sub_flags(u32 a, u32 b, u32 r) { return flag_bytes(r >> 31, r == 0, a >= b, ((a ^ b) & (a ^ r)) >> 31); }

inline u32 adc(u32 a, u32 b, u32 carry, u32& flags) {
  const u64 wide = u64{a} + b + carry;
  const u32 r = static_cast<u32>(wide);
  flags = flag_bytes(r >> 31, r == 0, static_cast<u32>(wide >> 32), (~(a ^ b) & (a ^ r)) >> 31);
  return r;
}

inline u32 shl_reg(u32 a, u32 n) { return n > 31 ? 0 : a << n; }
inline u32 shr_reg(u32 a, u32 n) { return n > 31 ? 0 : a >> n; }
inline u32 sar(u32 a, u32 n) { return static_cast<u32>(static_cast<s32>(a) >> (n > 31 ? 31 : n)); }
inline u32 rbit(u32 x) {
  x = (x >> 1 & 0x55555555) | (x & 0x55555555) << 1;
  x = (x >> 2 & 0x33333333) | (x & 0x33333333) << 2;
  x = (x >> 4 & 0x0f0f0f0f) | (x & 0x0f0f0f0f) << 4;
  return __builtin_bswap32(x);
}

/// Its second page, if it straddles two, is what it was translated from. Who enters a block otherwise than from the
/// dispatcher has seen to the first page only.
inline bool second_page_holds(const Context* ctx, const Block* block) {
  return !block->straddles() ||
         ctx->dispatch.now.exec[((block->pc >> k_page_bits) + 1) % mmu::k_exec_entries] == block->second_id;
}

/// Block of `pc` in the jump cache; null also for one that the dispatcher is to enter, having generated code.
inline Block* probe(Context* ctx, u32 pc) {
  const u32 target = pc | u32{ctx->guest.thumb()};
  const JumpEntry& e = ctx->jump[jump_index(target, static_cast<u32>(ctx->dispatch.now.salt))];
  if (e.tag != (ctx->dispatch.now.tag | target) || e.block->compiled) return nullptr;
  const bool usable = e.block->exec_id.load(std::memory_order_relaxed) != k_dead_block && second_page_holds(ctx, e.block);
  return usable ? e.block : nullptr;
}

Leave run(Context* ctx, Block* block, const void* const** table) {
  static const void* const labels[] = {
#define UOP(name) &&L_##name,
#include "engine/uops.inc"
#undef UOP
  };
  if (table) {
    *table = labels;
    return Leave::Lookup;
  }

  u8* const base = reinterpret_cast<u8*>(ctx);
  const Uop* u = nullptr;
  u32 pc = 0;

#define R32(off) (*reinterpret_cast<u32*>(base + 4 * std::size_t{off}))
#define R64(off) (*reinterpret_cast<u64*>(base + 4 * std::size_t{off}))
#define RV(off) (*reinterpret_cast<V128*>(base + 4 * std::size_t{off}))
#define FLAGS (*reinterpret_cast<u32*>(&ctx->guest.n))
#define DISPATCH() goto * u->handler
#define NEXT()  \
  do {          \
    ++u;        \
    DISPATCH(); \
  } while (0)
#define L(name) L_##name:
#define BINARY(name, expr)                                 \
  L(name##RR) {                                            \
    const u32 x = R32(u->a), y = R32(u->b);                \
    R32(u->dst) = (expr);                                  \
    NEXT();                                                \
  }                                                        \
  L(name##RI) {                                            \
    const u32 x = R32(u->a), y = static_cast<u32>(u->imm); \
    R32(u->dst) = (expr);                                  \
    NEXT();                                                \
  }
#define BINARY_RR(name, expr)               \
  L(name) {                                 \
    const u32 x = R32(u->a), y = R32(u->b); \
    R32(u->dst) = (expr);                   \
    NEXT();                                 \
  }
#define UNARY(name, expr)    \
  L(name) {                  \
    const u32 x = R32(u->a); \
    R32(u->dst) = (expr);    \
    NEXT();                  \
  }
#define BINARY64(name, expr)                \
  L(name) {                                 \
    const u64 x = R64(u->a), y = R64(u->b); \
    R64(u->dst) = (expr);                   \
    NEXT();                                 \
  }

enter:
  if (const u32 runs = block->cold_runs.load(std::memory_order_relaxed); runs != k_stays_interpreted) {
    if (runs == 0) goto other_block;
    block->cold_runs.store(runs - 1, std::memory_order_relaxed);
  }
  if (!block->serves(base_key(block->key) | ctx->dispatch.now.fp)) goto other_block;
  ctx->dispatch.block = block;
  ctx->dispatch.instructions += block->insn_count;
  u = block->code;
  DISPATCH();

  L(Const) {
    R32(u->dst) = static_cast<u32>(u->imm);
    NEXT();
  }
  L(Const64) {
    R64(u->dst) = u->imm;
    NEXT();
  }
  UNARY(Mov, x)
  L(Mov64) {
    R64(u->dst) = R64(u->a);
    NEXT();
  }
  L(MovV) {
    RV(u->dst) = RV(u->a);
    NEXT();
  }

  BINARY(Add, x + y)
  BINARY(Sub, x - y)
  L(SubIR) {
    R32(u->dst) = static_cast<u32>(u->imm) - R32(u->b);
    NEXT();
  }
  BINARY(And, x & y)
  BINARY(Or, x | y)
  BINARY(Xor, x ^ y)
  BINARY(AndNot, x & ~y)
  BINARY(Shl, x << (y & 31))
  BINARY(Shr, x >> (y & 31))
  BINARY(Sar, sar(x, y & 31))
  BINARY(Ror, ror32(x, y))
  BINARY_RR(ShlRegRR, shl_reg(x, y & 255))
  BINARY_RR(ShrRegRR, shr_reg(x, y & 255))
  BINARY_RR(SarRegRR, sar(x, y & 255))
  BINARY_RR(RorRegRR, ror32(x, y))
  BINARY_RR(Adc, x + y + ctx->guest.c)
  BINARY_RR(Sbc, x - y - !ctx->guest.c)
  UNARY(Not, ~x)
  BINARY_RR(Mul, x * y)
  BINARY_RR(MulHiS, static_cast<u32>((s64{static_cast<s32>(x)} * static_cast<s32>(y)) >> 32))
  BINARY_RR(SDiv, y == 0 ? 0 : y == 0xffffffff ? 0u - x : static_cast<u32>(static_cast<s32>(x) / static_cast<s32>(y)))
  BINARY_RR(UDiv, y == 0 ? 0 : x / y)
  UNARY(Rrx, u32{ctx->guest.c} << 31 | x >> 1)

  BINARY_RR(ShlCarry, (y & 255) == 0 ? ctx->guest.c : (y & 255) > 32 ? 0 : x >> (32 - (y & 255)) & 1)
  BINARY_RR(ShrCarry, (y & 255) == 0 ? ctx->guest.c : (y & 255) > 32 ? 0 : x >> ((y & 255) - 1) & 1)
  BINARY_RR(SarCarry, (y & 255) == 0 ? ctx->guest.c : x >> ((y & 255) > 32 ? 31 : (y & 255) - 1) & 1)
  BINARY_RR(RorCarry, (y & 255) == 0 ? ctx->guest.c : x >> ((y - 1) & 31) & 1)

#define FLAGS_OP(name, x_, y_, op, flags_of) \
  L(name) {                                  \
    const u32 x = (x_), y = (y_);            \
    const u32 r = x op y;                    \
    FLAGS = flags_of(x, y, r);               \
    R32(u->dst) = r;                         \
    NEXT();                                  \
  }
  FLAGS_OP(AddFRR, R32(u->a), R32(u->b), +, add_flags)
  FLAGS_OP(AddFRI, R32(u->a), static_cast<u32>(u->imm), +, add_flags)
  FLAGS_OP(SubFRR, R32(u->a), R32(u->b), -, sub_flags)
  FLAGS_OP(SubFRI, R32(u->a), static_cast<u32>(u->imm), -, sub_flags)
  FLAGS_OP(SubFIR, static_cast<u32>(u->imm), R32(u->b), -, sub_flags)
#define MASKED_OP(name, expr)                       \
  L(name) {                                         \
    const u32 x = R32(u->a), y = R32(u->b);         \
    u32 flags = 0;                                  \
    const u32 r = (expr);                           \
    FLAGS = (FLAGS & ~u->disp) | (flags & u->disp); \
    R32(u->dst) = r;                                \
    NEXT();                                         \
  }
  MASKED_OP(AddMRR, adc(x, y, 0, flags))
  MASKED_OP(SubMRR, adc(x, ~y, 1, flags))
  MASKED_OP(AdcM, adc(x, y, ctx->guest.c, flags))
  MASKED_OP(SbcM, adc(x, ~y, ctx->guest.c, flags))
  L(SetNZ) {
    const u32 x = R32(u->a);
    ctx->guest.n = static_cast<u8>(x >> 31);
    ctx->guest.z = x == 0;
    NEXT();
  }
  L(SetNZ64) {
    const u64 x = R64(u->a);
    ctx->guest.n = static_cast<u8>(x >> 63);
    ctx->guest.z = x == 0;
    NEXT();
  }
  L(SetC) {
    ctx->guest.c = static_cast<u8>(R32(u->a));
    NEXT();
  }
  L(GetC) {
    R32(u->dst) = ctx->guest.c;
    NEXT();
  }
  L(SetNZCV) {
    const u32 x = R32(u->a);
    FLAGS = flag_bytes(x >> 31, x >> 30 & 1, x >> 29 & 1, x >> 28 & 1);
    NEXT();
  }
  L(Select) {
    R32(u->dst) = R32(u->a) ? R32(u->b) : R32(u->c);
    NEXT();
  }
  BINARY_RR(CmpEq, x == y)
  BINARY_RR(CmpLtU, x < y)
  BINARY_RR(CmpLtS, static_cast<s32>(x) < static_cast<s32>(y))
  UNARY(Clz, static_cast<u32>(std::countl_zero(x)))
  UNARY(Rbit, rbit(x))
  UNARY(Rev, __builtin_bswap32(x))
  UNARY(Rev16, ror32(__builtin_bswap32(x), 16))
  UNARY(Revsh, static_cast<u32>(s32{static_cast<s16>(__builtin_bswap16(static_cast<u16>(x)))}))
  UNARY(SExt8, static_cast<u32>(s32{static_cast<s8>(x)}))
  UNARY(SExt16, static_cast<u32>(s32{static_cast<s16>(x)}))
  UNARY(ZExt8, x & 0xff)
  UNARY(ZExt16, x & 0xffff)
  // imm = lsb | width << 8, kept as two shifts in attr, attr2
  L(SBfx) {
    R32(u->dst) = static_cast<u32>(static_cast<s32>(R32(u->a) << u->attr) >> u->attr2);
    NEXT();
  }
  L(UBfx) {
    R32(u->dst) = (R32(u->a) << u->attr) >> u->attr2;
    NEXT();
  }
  L(Bfi) {  // disp = mask, attr = lsb
    R32(u->dst) = (R32(u->a) & ~u->disp) | (R32(u->b) << u->attr & u->disp);
    NEXT();
  }

  L(Pack64) {
    const u64 r = u64{R32(u->b)} << 32 | R32(u->a);
    R64(u->dst) = r;
    NEXT();
  }
  L(Hi32) {
    R32(u->dst) = static_cast<u32>(R64(u->a) >> 32);
    NEXT();
  }
  L(ZExt64) {
    R64(u->dst) = R32(u->a);
    NEXT();
  }
  L(SExt64) {
    R64(u->dst) = static_cast<u64>(s64{static_cast<s32>(R32(u->a))});
    NEXT();
  }
  BINARY64(Add64, x + y)
  BINARY64(Sub64, x - y)
  L(MulU64) {
    R64(u->dst) = u64{R32(u->a)} * R32(u->b);
    NEXT();
  }
  L(MulS64) {
    R64(u->dst) = static_cast<u64>(s64{static_cast<s32>(R32(u->a))} * static_cast<s32>(R32(u->b)));
    NEXT();
  }
  L(Shl64) {
    R64(u->dst) = R64(u->a) << (R32(u->b) & 63);
    NEXT();
  }
  L(Shr64) {
    R64(u->dst) = R64(u->a) >> (R32(u->b) & 63);
    NEXT();
  }
  L(Sar64) {
    R64(u->dst) = static_cast<u64>(static_cast<s64>(R64(u->a)) >> (R32(u->b) & 63));
    NEXT();
  }
  L(VPack) {
    const u64 lo = R64(u->a), hi = R64(u->b);
    RV(u->dst) = {lo, hi};
    NEXT();
  }
  L(VZext) {
    const u64 lo = R64(u->a);
    RV(u->dst) = {lo, 0};
    NEXT();
  }

#define LOAD(name, type, wide, reg)                                                           \
  L(name) {                                                                                   \
    const u32 va = R32(u->a) + u->disp;                                                       \
    const mmu::TlbEntry& e = ctx->dispatch.now.tlb[(va >> k_page_bits) % mmu::k_tlb_entries]; \
    if (__builtin_expect((va & (~k_page_mask | (sizeof(type) - 1))) == e.read_tag, 1)) {      \
      reg(u->dst) = static_cast<wide>(guest_load<type>(e.host + (va & k_page_mask)));         \
      NEXT();                                                                                 \
    }                                                                                         \
    u64 value = 0;                                                                            \
    ctx->dispatch.at = u;                                                                     \
    if (!ctx->memory->load(va, u->attr, u->attr2, value)) return Leave::Fault;                \
    reg(u->dst) = static_cast<wide>(static_cast<type>(value));                                \
    NEXT();                                                                                   \
  }
  LOAD(LoadU8, u8, u32, R32)
  LOAD(LoadS8, s8, u32, R32)
  LOAD(LoadU16, u16, u32, R32)
  LOAD(LoadS16, s16, u32, R32)
  LOAD(LoadU32, u32, u32, R32)
  LOAD(LoadU64, u64, u64, R64)
#define STORE(name, type, reg)                                                                \
  L(name) {                                                                                   \
    const u32 va = R32(u->a) + u->disp;                                                       \
    const mmu::TlbEntry& e = ctx->dispatch.now.tlb[(va >> k_page_bits) % mmu::k_tlb_entries]; \
    if (__builtin_expect((va & (~k_page_mask | (sizeof(type) - 1))) == e.write_tag, 1)) {     \
      guest_store<type>(e.host + (va & k_page_mask), static_cast<type>(reg(u->b)));           \
      NEXT();                                                                                 \
    }                                                                                         \
    ctx->dispatch.at = u;                                                                     \
    if (!ctx->memory->store(va, u->attr, u->attr2, reg(u->b))) return Leave::Fault;           \
    NEXT();                                                                                   \
  }
  STORE(Store8, u8, R32)
  STORE(Store16, u16, R32)
  STORE(Store32, u32, R32)
  STORE(Store64, u64, R64)
  L(Load) {
    u64 value = 0;
    ctx->dispatch.at = u;
    if (!ctx->memory->load(R32(u->a) + u->disp, u->attr, u->attr2, value)) return Leave::Fault;
    R32(u->dst) = static_cast<u32>(value);
    NEXT();
  }
  L(LoadD) {
    u64 value = 0;
    ctx->dispatch.at = u;
    if (!ctx->memory->load(R32(u->a) + u->disp, u->attr, u->attr2, value)) return Leave::Fault;
    R64(u->dst) = value;
    NEXT();
  }
  L(Store) {
    ctx->dispatch.at = u;
    if (!ctx->memory->store(R32(u->a) + u->disp, u->attr, u->attr2, R32(u->b))) return Leave::Fault;
    NEXT();
  }
  L(StoreD) {
    ctx->dispatch.at = u;
    if (!ctx->memory->store(R32(u->a) + u->disp, u->attr, u->attr2, R64(u->b))) return Leave::Fault;
    NEXT();
  }

#define SKIP(name, condition)       \
  L(name) {                         \
    u += (condition) ? 1 : u->disp; \
    DISPATCH();                     \
  }
  SKIP(SkipIf, R32(u->a) == 0)
  SKIP(SkipEQ, ctx->guest.z)
  SKIP(SkipNE, !ctx->guest.z)
  SKIP(SkipCS, ctx->guest.c)
  SKIP(SkipCC, !ctx->guest.c)
  SKIP(SkipMI, ctx->guest.n)
  SKIP(SkipPL, !ctx->guest.n)
  SKIP(SkipVS, ctx->guest.v)
  SKIP(SkipVC, !ctx->guest.v)
  SKIP(SkipHI, ctx->guest.c & ~ctx->guest.z)
  SKIP(SkipLS, !(ctx->guest.c & ~ctx->guest.z))
  SKIP(SkipGE, ctx->guest.n == ctx->guest.v)
  SKIP(SkipLT, ctx->guest.n != ctx->guest.v)
  SKIP(SkipGT, ctx->guest.n == ctx->guest.v && !ctx->guest.z)
  SKIP(SkipLE, ctx->guest.n != ctx->guest.v || ctx->guest.z)
  SKIP(SkipAL, true)
#define COMPARE_SKIP_1(name, y_, condition) \
  L(name) {                                 \
    const u32 x = R32(u->a), y = (y_);      \
    const u32 r = x - y;                    \
    FLAGS = sub_flags(x, y, r);             \
    R32(u->dst) = r;                        \
    u += (condition) ? 1 : u->disp;         \
    DISPATCH();                             \
  }
#define COMPARE_SKIP(cond, condition)                 \
  COMPARE_SKIP_1(Cmp##cond##RR, R32(u->b), condition) \
  COMPARE_SKIP_1(Cmp##cond##RI, static_cast<u32>(u->imm), condition)
  COMPARE_SKIP(EQ, x == y)
  COMPARE_SKIP(NE, x != y)
  COMPARE_SKIP(CS, x >= y)
  COMPARE_SKIP(CC, x < y)
  COMPARE_SKIP(MI, static_cast<s32>(r) < 0)
  COMPARE_SKIP(PL, static_cast<s32>(r) >= 0)
  COMPARE_SKIP(HI, x > y)
  COMPARE_SKIP(LS, x <= y)
  COMPARE_SKIP(GE, static_cast<s32>(x) >= static_cast<s32>(y))
  COMPARE_SKIP(LT, static_cast<s32>(x) < static_cast<s32>(y))
  COMPARE_SKIP(GT, static_cast<s32>(x) > static_cast<s32>(y))
  COMPARE_SKIP(LE, static_cast<s32>(x) <= static_cast<s32>(y))

  L(JumpSame) {
    Link* const link = reinterpret_cast<Link*>(u->imm);
    block = link->target.load(std::memory_order_acquire);
    if (__builtin_expect(block != nullptr && !ctx->dispatch.attention.load(std::memory_order_relaxed), 1) &&
        second_page_holds(ctx, block))
      goto enter;
    pc = link->pc;
    ctx->dispatch.link = link;
    goto lookup;
  }
  L(SwitchLink) { ctx->guest.psr ^= arm::k_psr_t; }
  L(JumpFar) {
    Link* const link = reinterpret_cast<Link*>(u->imm);
    pc = link->pc;
    block = link->target.load(std::memory_order_acquire);
    if (block == nullptr) {
      ctx->dispatch.link = link;
    } else if (block->exec_id.load(std::memory_order_relaxed) ==
                   ctx->dispatch.now.exec[(pc >> k_page_bits) % mmu::k_exec_entries] &&
               !ctx->dispatch.attention.load(std::memory_order_relaxed) && second_page_holds(ctx, block)) {
      goto enter;
    }
    goto lookup;
  }
  L(Interwork) {
    pc = R32(u->a);
    ctx->guest.psr = (ctx->guest.psr & ~arm::k_psr_t) | (pc & 1) << 5;
    pc &= (pc & 1) ? ~1u : ~3u;
    goto lookup;
  }
  L(Indirect) {
    pc = R32(u->a);
    goto lookup;
  }
other_block:  // is to be found for where this one begins
  ctx->guest.r[15] = block->pc;
  ctx->guest.it = block->marks[0].it;
  return Leave::Lookup;
lookup:
  ctx->guest.r[15] = pc;
  if (ctx->dispatch.attention.load(std::memory_order_relaxed)) return Leave::Attention;
  block = probe(ctx, pc);
  if (block != nullptr && ctx->dispatch.link == nullptr) goto enter;
  return Leave::Lookup;

  L(JumpSync) {
    ctx->guest.r[15] = static_cast<u32>(u->imm);
    return Leave::Sync;
  }
  L(Leave) {
    ctx->dispatch.at = u;
    return static_cast<Leave>(u->attr);
  }

  L(Call) {
    u->helper(*ctx, *u);
    NEXT();
  }
  L(CallMem) {
    ctx->dispatch.at = u;
    if (!u->helper(*ctx, *u)) return Leave::Fault;
    NEXT();
  }
  L(CallTrap) {
    ctx->dispatch.at = u;
    if (!u->helper(*ctx, *u)) return Leave::Undefined;
    NEXT();
  }
}

}  // namespace

Leave execute(Context* context, Block* block) { return run(context, block, nullptr); }

const void* const* handlers() {
  static const void* const* const table = [] {
    const void* const* t = nullptr;
    run(nullptr, nullptr, &t);
    return t;
  }();
  return table;
}

}  // namespace armvisor::engine
