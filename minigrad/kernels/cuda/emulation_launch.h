// Launching an emulated kernel: the table of kernels, the loop over blocks, and the two ways in.
//
// emulate.py appends `EMULATE(name)` for each __global__ function of the source and calls, in the shared library,
// emulation_signature and emulation_launch. A build with -DEMULATION_MAIN is a program instead: a sanitizer wants
// to be there from the first instruction of a process, and Python has started long before.

#pragma once

#include <stdlib.h>

#include <fstream>
#include <iterator>
#include <sstream>
#include <system_error>

namespace emulation {

// Types of other headers that have a NumPy name too; see stand_in/.
template <class T>
constexpr const char* special_name = nullptr;

// The NumPy name of a kernel parameter's type: "int64", "float32*", "const float32*".
template <class T>
std::string type_name() {
    if constexpr (special_name<T> != nullptr) {
        return special_name<T>;
    } else if constexpr (std::is_pointer_v<T>) {
        using Pointee = std::remove_pointer_t<T>;
        return (std::is_const_v<Pointee> ? "const " : "") + type_name<std::remove_cv_t<Pointee>>() + "*";
    } else {
        static_assert(std::is_arithmetic_v<T>, "a kernel parameter is a number or a pointer to numbers");
        const char* kind = std::is_floating_point_v<T> ? "float" : std::is_signed_v<T> ? "int" : "uint";
        return std::is_same_v<T, bool> ? "bool" : kind + std::to_string(8 * sizeof(T));
    }
}

struct Kernel {
    std::vector<std::string> parameters;
    std::function<void(void**)> call;  // takes a pointer to each argument, as CUDA's cuLaunchKernel does
};

inline std::map<std::string, Kernel> kernels;

struct Register {
    template <class... Parameters>
    Register(const char* name, void (*kernel)(Parameters...)) {
        kernels[name] = {{type_name<Parameters>()...}, [kernel](void** args) {
            [&]<size_t... i>(std::index_sequence<i...>) {
                kernel(*static_cast<Parameters*>(args[i])...);
            }(std::index_sequence_for<Parameters...>());
        }};
    }
};

#define EMULATE(kernel) static const emulation::Register register_##kernel(#kernel, kernel);

inline void run_thread(const Kernel& kernel, Thread& thread, dim3 grid, dim3 block, dim3 index, void** args) {
    self = &thread;
    gridDim = grid;
    blockDim = block;
    blockIdx = index;
    threadIdx = {thread.rank % block.x, thread.rank / block.x % block.y, thread.rank / (block.x * block.y)};
    thread.block.turns.wait(thread.rank);
    try {
        if (!thread.block.failed) kernel.call(args);
        thread.block.turns.end(thread.rank);
        thread.block.leave();
    } catch (Abort) {
    }
}

// Run one block; returns the error, or "".
inline std::string run_block(const Kernel& kernel, dim3 grid, dim3 block, dim3 index, size_t shared_bytes,
                             Order order, void** args) {
    Block state(block.x * block.y * block.z, order);
    std::vector<unsigned char> shared(shared_bytes, 0xFF);  // NaN: what nobody wrote must not look like zero
    state.shared = shared.data();
    std::vector<std::thread> running;
    try {
        for (auto& thread : state.threads)
            running.emplace_back([&] { run_thread(kernel, *thread, grid, block, index, args); });
    } catch (const std::system_error& error) {
        state.stop(std::string("the system refused a thread (") + error.what() + "); use a smaller block");
    }
    for (std::thread& thread : running) thread.join();
    return state.error;
}

inline std::string run(const Kernel& kernel, dim3 grid, dim3 block, size_t shared_bytes, Order order, void** args) {
    static std::mutex one_launch_at_a_time;  // static shared memory exists once
    std::lock_guard lock(one_launch_at_a_time);
    for (unsigned z = 0; z < grid.z; ++z)
        for (unsigned y = 0; y < grid.y; ++y)
            for (unsigned x = 0; x < grid.x; ++x) {
                const std::string error = run_block(kernel, grid, block, {x, y, z}, shared_bytes, order, args);
                if (!error.empty())
                    return "block (" + std::to_string(x) + ", " + std::to_string(y) + ", " +
                           std::to_string(z) + "): " + error;
            }
    return "";
}

}  // namespace emulation

#ifndef EMULATION_MAIN

#define EMULATION_EXPORT extern "C" __attribute__((visibility("default")))

// The parameter types of a kernel, separated by commas.
EMULATION_EXPORT const char* emulation_signature(const char* name) {
    static thread_local std::string text;
    text.clear();
    for (const std::string& parameter : emulation::kernels.at(name).parameters)
        text += (text.empty() ? "" : ",") + parameter;
    return text.c_str();
}

// Run a kernel; returns the error, or "". `order` is a number of Order. `args` holds a pointer to each argument.
EMULATION_EXPORT const char* emulation_launch(const char* name, const unsigned* grid, const unsigned* block,
                                              size_t shared_bytes, int order, void** args) {
    static thread_local std::string error;
    error = emulation::run(emulation::kernels.at(name), {grid[0], grid[1], grid[2]},
                           {block[0], block[1], block[2]}, shared_bytes, emulation::Order(order), args);
    return error.c_str();
}

#else

// program kernel gridx gridy gridz blockx blocky blockz shared_bytes order file...: a file of bytes for each argument.
// An array is copied to memory of exactly its size, so that AddressSanitizer knows where it ends, and written back.
int main(int, char** argv) {
    auto number = [&](int i) { return unsigned(strtoul(argv[i], nullptr, 10)); };
    const emulation::Kernel& kernel = emulation::kernels.at(argv[1]);
    const size_t count = kernel.parameters.size();
    std::vector<std::vector<char>> bytes(count);
    std::vector<void*> arrays(count), args(count);
    for (size_t i = 0; i < count; ++i) {
        std::ifstream file(argv[10 + i], std::ios::binary);
        bytes[i] = std::vector<char>(std::istreambuf_iterator<char>(file), {});
        bytes[i].shrink_to_fit();
        arrays[i] = bytes[i].data();
        args[i] = kernel.parameters[i].back() == '*' ? &arrays[i] : arrays[i];
    }
    const std::string error = emulation::run(kernel, {number(2), number(3), number(4)},
                                             {number(5), number(6), number(7)}, number(8),
                                             emulation::Order(number(9)), args.data());
    for (size_t i = 0; i < count; ++i)
        std::ofstream(argv[10 + i], std::ios::binary).write(bytes[i].data(), std::streamsize(bytes[i].size()));
    fprintf(stderr, "%s", error.c_str());
    return error.empty() ? 0 : 2;
}

#endif
