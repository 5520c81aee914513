// Runs a CUDA kernel on the CPU, so that it can be learnt, tested and checked for races without a GPU.
//
// It is included before the .cu file (see kernels/emulate.py), gives CUDA's words a meaning in C++20, and
// changes nothing in the kernel: the same text goes to a GPU.
//
//   CUDA                         here
//   a thread                     a thread of the operating system, so that ThreadSanitizer sees every race
//   a block                      its threads are started together and joined; blocks run one after another. The
//                                threads of a block run together or in turn: see emulation_turns.h
//   __shared__ float tile[64];   a C++ `static`: one for all threads, and one per block because only one block
//                                runs at a time. As on a GPU it begins with whatever the last block left in it
//   extern __shared__ ...        memory of exactly the size that the launch asks for, filled with NaN
//   __syncthreads()              a barrier of all threads of the block
//   __shfl_*_sync, __ballot_sync a slot for each lane and a barrier of the lanes named in the mask
//   atomicAdd, ...               std::atomic_ref with relaxed order: it joins sums, it orders nothing else
//
// It is stricter than a GPU. Where CUDA says "undefined" (a thread of the block misses a barrier, a lane is not
// in its own mask) a GPU may hang or carry on; here the launch ends with a message that names thread and line.
// It does not show speed: a warp's 32 lanes run apart, and no cache or memory channel is modelled.

#pragma once

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <source_location>
#include <string>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#include "emulation_turns.h"

// ------------------------------------------------------------------------------ CUDA's words and built-ins

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __constant__ static
#define __launch_bounds__(...)
#define __align__(bytes) __attribute__((aligned(bytes)))
#define __shared__ static
// A declaration `extern __shared__ T name[];` becomes EMULATION_DYNAMIC_SHARED(T, name), by emulate.py.
#define EMULATION_DYNAMIC_SHARED(type, name) type* name = reinterpret_cast<type*>(emulation::self->block.shared)

struct dim3 {
    unsigned x = 1, y = 1, z = 1;
};

inline thread_local dim3 threadIdx, blockIdx, blockDim, gridDim;
constexpr int warpSize = 32;

using std::max;
using std::min;

namespace emulation {

using Where = std::source_location;

struct Abort {};  // thrown through a kernel to end it; caught where its thread began

// ------------------------------------------------------------------------------------------------ barriers

// A barrier that can be abandoned, which std::barrier cannot: a kernel that would hang ends with a message. It uses
// atomics and no lock: a lock shared by threads that CUDA does not order would order them in ThreadSanitizer's
// eyes, and hide their races.
struct Barrier {
    std::atomic<unsigned> arrived{0};
    std::atomic<unsigned> phase{0};    // how often it opened; waiting threads sleep until this changes
    std::atomic<unsigned> meeting{0};  // what the first arrival came for (a line or a mask); 0: nobody is here
};

struct Warp {
    Barrier barriers[warpSize];  // of a group of lanes: the one at its lowest lane, so no two groups share it
    uint64_t slots[warpSize];    // what each lane offers to the others
    unsigned lanes = 0;          // the lanes that exist: fewer than 32 in a block's last warp
};

struct Thread;

struct Block {
    Block(unsigned size, Order order);
    void meet(Barrier& barrier, unsigned expected, unsigned meeting);
    void leave();
    void stop(const std::string& message);
    [[noreturn]] void fail(const std::string& what);
    std::string who_waits() const;

    unsigned size;
    Turns turns;
    std::vector<Warp> warps;
    std::vector<std::unique_ptr<Thread>> threads;
    Barrier barrier;
    unsigned char* shared = nullptr;
    // Threads that are neither asleep in a barrier nor done. Relaxed order counts right, and orders nobody.
    std::atomic<unsigned> running;
    std::atomic<bool> failed{false};
    std::string error;  // read after all threads are joined
    std::mutex error_lock;
};

struct Thread {
    Block& block;
    unsigned rank;  // place in the block, x fastest; 32 consecutive ranks are a warp
    std::atomic<const char*> intrinsic{nullptr};  // what it waits in, for the message of a deadlock
    std::atomic<unsigned> line{0};
    unsigned lane() const { return rank % warpSize; }
    Warp& warp() const { return block.warps[rank / warpSize]; }
};

inline thread_local Thread* self = nullptr;

inline Block::Block(unsigned size, Order order)
    : size(size), turns(order, size), warps((size + warpSize - 1) / warpSize), running(size) {
    for (unsigned rank = 0; rank < size; ++rank) {
        threads.push_back(std::make_unique<Thread>(*this, rank));
        warps[rank / warpSize].lanes |= 1u << (rank % warpSize);
    }
}

// Wait until `expected` threads have come for the same thing. The last one opens the barrier.
inline void Block::meet(Barrier& barrier, unsigned expected, unsigned meeting) {
    unsigned nobody = 0;
    const unsigned phase = barrier.phase.load();
    if (failed) throw Abort();
    if (!barrier.meeting.compare_exchange_strong(nobody, meeting) && nobody != meeting)
        fail("meets threads that wait for something else: " + who_waits());
    if (barrier.arrived.fetch_add(1) + 1 == expected) {
        barrier.arrived = 0;
        barrier.meeting = 0;
        running.fetch_add(expected - 1, std::memory_order_relaxed);
        barrier.phase.fetch_add(1);
        barrier.phase.notify_all();
        turns.open(self->rank, &barrier);
    } else {
        turns.leave(self->rank, &barrier);
        leave();
        barrier.phase.wait(phase);
        turns.wait(self->rank);
    }
    if (failed) throw Abort();
    self->intrinsic.store(nullptr, std::memory_order_relaxed);
}

// One thread fewer runs. If it was the last, those that sleep would sleep for ever.
inline void Block::leave() {
    if (running.fetch_sub(1, std::memory_order_relaxed) != 1) return;
    const std::string waiting = who_waits();
    if (waiting.empty()) return;  // all threads are done
    stop("nobody is left who could open a barrier: " + waiting);
    throw Abort();
}

// Keep the first message and wake everybody, so that the launch ends.
inline void Block::stop(const std::string& message) {
    {
        std::lock_guard lock(error_lock);
        if (error.empty()) error = message;
    }
    failed = true;  // before the barriers open: whoever wakes must see it
    turns.stop();
    auto open = [](Barrier& barrier) {
        barrier.phase.fetch_add(1);
        barrier.phase.notify_all();
    };
    open(barrier);
    for (Warp& warp : warps)
        for (Barrier& of_lanes : warp.barriers) open(of_lanes);
}

inline void Block::fail(const std::string& what) {
    stop("thread " + std::to_string(self->rank) + " of the block " + what);
    throw Abort();
}

// "1 thread(s), the first 5, elsewhere or done; 31 thread(s), the first 0, in __syncthreads at line 12", or ""
// if nobody waits.
inline std::string Block::who_waits() const {
    std::map<std::pair<unsigned, std::string>, std::vector<unsigned>> groups;
    bool anybody = false;
    for (const auto& thread : threads) {
        const char* intrinsic = thread->intrinsic.load(std::memory_order_relaxed);
        anybody |= intrinsic != nullptr;
        groups[{thread->line, intrinsic ? intrinsic : ""}].push_back(thread->rank);
    }
    std::string text;
    if (!anybody) return text;
    for (const auto& [place, ranks] : groups) {
        if (!text.empty()) text += "; ";
        text += std::to_string(ranks.size()) + " thread(s), the first " + std::to_string(ranks[0]);
        text += place.second.empty() ? ", elsewhere or done"
                                     : ", in " + place.second + " at line " + std::to_string(place.first);
    }
    return text;
}

inline void waits_in(const char* intrinsic, Where where) {
    self->line.store(where.line(), std::memory_order_relaxed);
    self->intrinsic.store(intrinsic, std::memory_order_relaxed);
}

// The lanes in `mask` meet. Lanes that a block's last warp does not have are not waited for.
inline void meet_lanes(unsigned mask, const char* intrinsic, Where where) {
    Warp& warp = self->warp();
    waits_in(intrinsic, where);
    if (!(mask >> self->lane() & 1)) self->block.fail(std::string("is not in its own mask in ") + intrinsic);
    const unsigned lanes = mask & warp.lanes;
    self->block.meet(warp.barriers[std::countr_zero(lanes)], std::popcount(lanes), mask);
}

// Each lane offers a value and reads the one that `source` offers. Reading a lane that does not take part is
// undefined in CUDA: here it gives all bits set, which is NaN in a float.
template <class T>
T shuffle(unsigned mask, T value, int source, const char* intrinsic, Where where) {
    static_assert(sizeof(T) <= sizeof(uint64_t), "a shuffle moves at most 8 bytes");
    Warp& warp = self->warp();
    memcpy(&warp.slots[self->lane()], &value, sizeof(T));
    meet_lanes(mask, intrinsic, where);  // every slot is written
    T result;
    memset(&result, 0xFF, sizeof(T));
    if (mask & warp.lanes & (1u << source)) memcpy(&result, &warp.slots[source], sizeof(T));
    meet_lanes(mask, intrinsic, where);  // every slot is read, and may be written again
    return result;
}

}  // namespace emulation

// ------------------------------------------------------------------------------- block and warp intrinsics

inline void __syncthreads(emulation::Where where = emulation::Where::current()) {
    emulation::waits_in("__syncthreads", where);
    emulation::Block& block = emulation::self->block;
    block.meet(block.barrier, block.size, where.line());
}

inline void __syncwarp(unsigned mask = 0xFFFFFFFF, emulation::Where where = emulation::Where::current()) {
    emulation::meet_lanes(mask, "__syncwarp", where);
}

// `width` cuts the warp into segments of that many lanes (a power of two); a shuffle stays inside its segment.
template <class T>
T __shfl_sync(unsigned mask, T value, int source, int width = warpSize,
              emulation::Where where = emulation::Where::current()) {
    const int lane = emulation::self->lane(), first = lane & ~(width - 1);
    return emulation::shuffle(mask, value, first + (source & (width - 1)), "__shfl_sync", where);
}

template <class T>
T __shfl_up_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                 emulation::Where where = emulation::Where::current()) {
    const int lane = emulation::self->lane(), first = lane & ~(width - 1);
    const int source = lane - int(delta);
    return emulation::shuffle(mask, value, source < first ? lane : source, "__shfl_up_sync", where);
}

template <class T>
T __shfl_down_sync(unsigned mask, T value, unsigned delta, int width = warpSize,
                   emulation::Where where = emulation::Where::current()) {
    const int lane = emulation::self->lane(), last = lane | (width - 1);
    const int source = lane + int(delta);
    return emulation::shuffle(mask, value, source > last ? lane : source, "__shfl_down_sync", where);
}

template <class T>
T __shfl_xor_sync(unsigned mask, T value, int lane_mask, int width = warpSize,
                  emulation::Where where = emulation::Where::current()) {
    const int lane = emulation::self->lane(), last = lane | (width - 1);
    const int source = lane ^ lane_mask;
    return emulation::shuffle(mask, value, source > last ? lane : source, "__shfl_xor_sync", where);
}

// Bit i of the result: lane i takes part and its predicate is true.
inline unsigned __ballot_sync(unsigned mask, int predicate, emulation::Where where = emulation::Where::current()) {
    emulation::Warp& warp = emulation::self->warp();
    warp.slots[emulation::self->lane()] = predicate != 0;
    emulation::meet_lanes(mask, "__ballot_sync", where);
    unsigned votes = 0;
    for (unsigned lanes = mask & warp.lanes; lanes; lanes &= lanes - 1)  // the lowest set bit goes each time
        votes |= unsigned(warp.slots[std::countr_zero(lanes)]) << std::countr_zero(lanes);
    emulation::meet_lanes(mask, "__ballot_sync", where);
    return votes;
}

inline int __any_sync(unsigned mask, int predicate, emulation::Where where = emulation::Where::current()) {
    return __ballot_sync(mask, predicate, where) != 0;
}

inline int __all_sync(unsigned mask, int predicate, emulation::Where where = emulation::Where::current()) {
    return __ballot_sync(mask, !predicate, where) == 0;
}

inline int __popc(unsigned bits) { return std::popcount(bits); }
inline int __ffs(int bits) { return bits ? std::countr_zero(unsigned(bits)) + 1 : 0; }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
inline double rsqrt(double x) { return 1.0 / sqrt(x); }

// ------------------------------------------------------------------------------------------------- atomics

// Each returns the old value. The second type keeps `atomicAdd(&counter, 1)` legal for an unsigned counter.
template <class T>
T atomicAdd(T* address, std::type_identity_t<T> value) {
    return std::atomic_ref<T>(*address).fetch_add(value, std::memory_order_relaxed);
}

template <class T>
T atomicExch(T* address, std::type_identity_t<T> value) {
    return std::atomic_ref<T>(*address).exchange(value, std::memory_order_relaxed);
}

template <class T>
T atomicCAS(T* address, std::type_identity_t<T> compare, std::type_identity_t<T> value) {
    std::atomic_ref<T>(*address).compare_exchange_strong(compare, value, std::memory_order_relaxed);
    return compare;  // C++ stores the old value here when they differ
}

// What the hardware has no instruction for is built from compare-and-swap: try until nobody came between.
template <class T, class Better>
T emulation_replace_if(T* address, T value, Better better) {
    T old = std::atomic_ref<T>(*address).load(std::memory_order_relaxed);
    while (better(value, old)) {
        const T seen = atomicCAS(address, old, value);
        if (seen == old) break;
        old = seen;
    }
    return old;
}

template <class T>
T atomicMax(T* address, std::type_identity_t<T> value) {
    return emulation_replace_if(address, value, std::greater<T>());
}

template <class T>
T atomicMin(T* address, std::type_identity_t<T> value) {
    return emulation_replace_if(address, value, std::less<T>());
}

#include "emulation_launch.h"
