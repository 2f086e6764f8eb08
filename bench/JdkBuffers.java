/*
 * JdkBuffers.java: direct buffers and cleaners of the JDK, 17 or later, for
 * peer_java.c.
 *
 * Reads "WORK BLOCKS SIZE NUMBER" from standard input, does it, and answers
 * with "done" and two figures; what they are depends on the work.  JDKs that
 * have arenas compile this file together with JdkArenas.java, which uses it.
 */

import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.lang.ref.Cleaner;
import java.lang.ref.Reference;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.locks.LockSupport;
import sun.misc.Unsafe;

public class JdkBuffers {
    private static final int PAGE = 4096;
    private static final long FEW = 16; // the JDK's own
    static final double[] NONE = {0, 0};

    // Collect what was dropped, until all of it is freed.
    static void collect() throws InterruptedException {
        BufferPoolMXBean pool = pool();

        System.gc();
        while (pool.getCount() > FEW)
            Thread.sleep(0, 100000);
    }

    // What a line asks for; gives two figures.
    interface Work {
        double[] run(String[] words) throws Exception;
    }

    // Answer the lines of the standard input, until it ends.
    static void serve(Work work) throws Exception {
        BufferedReader in =
            new BufferedReader(new InputStreamReader(System.in));
        String line;

        System.out.println("ready");
        while ((line = in.readLine()) != null) {
            double[] figures = work.run(line.split(" "));

            System.out.println("done " + figures[0] + " " + figures[1]);
        }
    }

    private static BufferPoolMXBean pool() {
        for (BufferPoolMXBean pool : ManagementFactory.getPlatformMXBeans(
                 BufferPoolMXBean.class)) {
            if (pool.getName().equals("direct"))
                return pool;
        }
        throw new IllegalStateException("no pool of direct buffers");
    }

    private static Unsafe unsafe() throws Exception {
        Field field = Unsafe.class.getDeclaredField("theUnsafe");

        field.setAccessible(true);
        return (Unsafe) field.get(null);
    }

    private static ByteBuffer touched(int size) {
        ByteBuffer buffer = ByteBuffer.allocateDirect(size);

        for (int at = 0; at < size; at += PAGE)
            buffer.put(at, (byte) 1);
        return buffer;
    }

    // Buffers that are dropped, until all are freed.
    private static double[] drop(int size, long count) throws Exception {
        for (long i = 0; i < count; i++)
            touched(size);
        collect();
        return NONE;
    }

    // What threads that take blocks from the same limit see.
    private static class Contention {
        final AtomicLong taken = new AtomicLong();
        final AtomicLong failures = new AtomicLong();
        final AtomicLong worst = new AtomicLong(); // wait, in nanoseconds
        double nanoseconds;

        // Until the end; a failure is tried again, the wait goes on.
        private void work(int size, long end, long hold, Unsafe unsafe) {
            long start = System.nanoTime();

            while (start < end) {
                try {
                    ByteBuffer buffer = ByteBuffer.allocateDirect(size);
                    long wait = System.nanoTime() - start;

                    buffer.put(0, (byte) 1);
                    worst.accumulateAndGet(wait, Math::max);
                    taken.incrementAndGet();
                    if (hold > 0) {
                        LockSupport.parkNanos(hold);
                        unsafe.invokeCleaner(buffer);
                    }
                    start = System.nanoTime();
                } catch (OutOfMemoryError e) {
                    failures.incrementAndGet();
                    if (System.nanoTime() >= end) {
                        worst.accumulateAndGet(System.nanoTime() - start,
                                               Math::max);
                        return;
                    }
                }
            }
        }

        // hold 0: drop them.
        Contention(int count, int size, long length, long hold)
            throws Exception {
            Thread[] threads = new Thread[count];
            Unsafe unsafe = unsafe();
            long start = System.nanoTime();

            for (int i = 0; i < count; i++) {
                threads[i] = new Thread(
                    () -> work(size, start + length, hold, unsafe));
                threads[i].start();
            }
            for (Thread thread : threads)
                thread.join();
            nanoseconds = System.nanoTime() - start;
        }
    }

    private static double[] slots(int threads, int size, long length)
        throws Exception {
        final long hold = 1000000;
        final int slots = 8;
        Contention c = new Contention(threads, size, length, hold);

        return new double[] {
            100.0 * c.taken.get() * hold / (c.nanoseconds * slots),
            c.worst.get() / 1e6
        };
    }

    private static double[] dropped(int threads, int size, long length)
        throws Exception {
        Contention c = new Contention(threads, size, length, 0);

        return new double[] {c.failures.get(),
                             c.nanoseconds / 1e3 / c.taken.get()};
    }

    // Its thread runs only where it is wanted.
    private static class Told {
        static final Cleaner cleaner = Cleaner.create();
        static long count;
    }

    // So many live cleaners: registering each, and cleaning each.
    private static double[] cleaners(int count) {
        Object[] referents = new Object[count];
        Cleaner.Cleanable[] cleanables = new Cleaner.Cleanable[count];
        long start, registered, cleaned;

        for (int i = 0; i < count; i++)
            referents[i] = new Object();
        start = System.nanoTime();
        for (int i = 0; i < count; i++)
            cleanables[i] = Told.cleaner.register(referents[i],
                                                  () -> Told.count++);
        registered = System.nanoTime();
        for (int i = 0; i < count; i++)
            cleanables[i].clean();
        cleaned = System.nanoTime();
        Reference.reachabilityFence(referents);
        return new double[] {(double) (registered - start) / count,
                             (double) (cleaned - registered) / count};
    }

    private static double[] work(String name, int blocks, int size,
                                 long number) throws Exception {
        switch (name) {
        case "drop":
            return drop(size, number);
        case "slots":
            return slots(blocks, size, number);
        case "dropped":
            return dropped(blocks, size, number);
        case "cleaners":
            return cleaners(blocks);
        default:
            throw new IllegalArgumentException(name);
        }
    }

    public static void main(String[] args) throws Exception {
        serve(words -> work(words[0], Integer.parseInt(words[1]),
                            Integer.parseInt(words[2]),
                            Long.parseLong(words[3])));
    }
}
